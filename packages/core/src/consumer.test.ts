import { describe, expect, it } from "vitest";
import { type Consumer, defineConsumer } from "./consumer.ts";

describe("defineConsumer", () => {
  const handle = () => undefined;
  const define = (consumer: object) => defineConsumer({ name: "orders.v1", handle, ...consumer } as Consumer);

  it("gives back what it was given", () => {
    const consumer: Consumer = { name: "orders.v1", handle };

    expect(defineConsumer(consumer)).toBe(consumer);
  });

  it.each(["", "x".repeat(256), "a\0b", undefined])("refuses the name %j", (name) => {
    expect(() => define({ name })).toThrow(/Expected `consumer.name` to be/);
  });

  it("refuses both handlers, and none", () => {
    expect(() => define({ handleBatch: handle })).toThrow(/either `handle` or `handleBatch`/);
    expect(() => define({ handle: undefined })).toThrow(/either `handle` or `handleBatch`/);
    expect(() => define({ handle: "not a function" })).toThrow(/either `handle` or `handleBatch`/);
  });

  it.each(["aggregateTypes", "eventTypes"])("refuses an empty list of %s, which would let nothing through", (list) => {
    expect(() => define({ [list]: [] })).toThrow(`Expected \`${list}\` of consumer "orders.v1" to name at least one`);
  });

  it("takes handlers that are methods", () => {
    class Orders {
      readonly name = "orders.v1";
      handle() {
        return this.name;
      }
    }

    expect(defineConsumer(new Orders()).name).toBe("orders.v1");
  });
});
