import { describe, expect, it } from "vitest";
import { createEvents } from "./emitter.ts";

type Events = { "order:placed": { orderId: string }; "order:paid": { amount: number } };

describe("createEvents", () => {
  it("calls every listener of a name with the payload, in the order they came", () => {
    const events = createEvents<Events>();
    const heard: string[] = [];
    events.on("order:placed", ({ orderId }) => heard.push(`first ${orderId}`));
    events.on("order:placed", ({ orderId }) => heard.push(`second ${orderId}`));
    events.on("order:paid", () => heard.push("other"));

    events.emit("order:placed", { orderId: "o-1" });

    expect(heard).toEqual(["first o-1", "second o-1"]);
  });

  it("calls nobody after the undo, and leaves the others", () => {
    const events = createEvents<Events>();
    const heard: string[] = [];
    const off = events.on("order:placed", () => heard.push("gone"));
    events.on("order:placed", () => heard.push("stays"));

    off();
    off();
    events.emit("order:placed", { orderId: "o-1" });

    expect(heard).toEqual(["stays"]);
  });

  it("undoes only the one registration of a listener that was registered twice", () => {
    const events = createEvents<Events>();
    let calls = 0;
    const listener = () => {
      calls += 1;
    };
    const off = events.on("order:placed", listener);
    events.on("order:placed", listener);

    off();
    events.emit("order:placed", { orderId: "o-1" });

    expect(calls).toBe(1);
  });

  it("lets a listener undo itself while it is called, without its neighbours missing anything", () => {
    const events = createEvents<Events>();
    const heard: string[] = [];
    const off = events.on("order:placed", () => {
      heard.push("once");
      off();
    });
    events.on("order:placed", () => heard.push("always"));

    events.emit("order:placed", { orderId: "o-1" });
    events.emit("order:placed", { orderId: "o-2" });

    expect(heard).toEqual(["once", "always", "always"]);
  });

  it("tells every event with its name to who listens to any", () => {
    const events = createEvents<Events>();
    const heard: unknown[] = [];
    const off = events.onAny((name, payload) => heard.push([name, payload]));

    events.emit("order:placed", { orderId: "o-1" });
    events.emit("order:paid", { amount: 3 });
    off();
    events.emit("order:paid", { amount: 4 });

    expect(heard).toEqual([
      ["order:placed", { orderId: "o-1" }],
      ["order:paid", { amount: 3 }],
    ]);
  });

  it("works without listeners", () => {
    expect(() => createEvents<Events>().emit("order:paid", { amount: 3 })).not.toThrow();
  });

  describe("with a listener that fails", () => {
    const failing = (listener: () => unknown) => {
      const errors: unknown[] = [];
      const events = createEvents<Events>({ onListenerError: (error, name) => errors.push([name, error]) });
      const heard: string[] = [];
      events.on("order:placed", listener);
      events.on("order:placed", () => heard.push("neighbour"));
      events.onAny(listener);
      events.onAny(() => heard.push("any"));
      return { events, errors, heard };
    };
    const error = new Error("listener");

    it.each([
      [
        "throws",
        () => {
          throw error;
        },
      ],
      ["rejects", () => Promise.reject(error)],
    ])("keeps it from the sender and the neighbours: %s", async (_, listener) => {
      const { events, errors, heard } = failing(listener);

      expect(() => events.emit("order:placed", { orderId: "o-1" })).not.toThrow();
      await Promise.resolve();
      await Promise.resolve();

      expect(heard).toEqual(["neighbour", "any"]);
      expect(errors).toEqual([
        ["order:placed", error],
        ["order:placed", error],
      ]);
    });

    it("ignores it when nobody asked for it", async () => {
      const events = createEvents<Events>();
      events.on("order:paid", () => Promise.reject(error));
      events.on("order:paid", () => {
        throw error;
      });

      events.emit("order:paid", { amount: 3 });
      await Promise.resolve();
    });
  });
});
