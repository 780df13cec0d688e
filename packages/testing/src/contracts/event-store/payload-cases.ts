import { describe, expect, it } from "vitest";
import { sampleEvent } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { orderActions } from "./order-actions.ts";

/** What comes back of payloads. */
export function payloadCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, readOrder } = orderActions(setup);

  describe("payloads", () => {
    it.each([
      ["an empty object", {}],
      ["an empty list", []],
      ["null", null],
      ["text", 'it\'s "quoted", \\slashed\\, $1, :name, {"a":1}'],
      ["a number", 42],
      ["a boolean", false],
      ["text of all kinds", { text: "Zażółć 漢字 🐶 \u2028\u0001\t\n" }],
      ["large and small numbers", { numbers: [1e21, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, -0.1] }],
      ["keys of all kinds", JSON.parse('{"__proto__":1,"constructor":2,"":3,"a.b":4,"1":5}')],
      ["deep nesting", deep(200)],
    ])("come back as they were: %s", async (_, payload) => {
      await append([sampleEvent({ payload })]);

      expect((await readOrder())[0]?.payload).toEqual(payload);
    });

    it("come back as JSON: dates as text, undefined properties left out, toJSON obeyed", async () => {
      const payload = { at: new Date(0), left: undefined, money: { toJSON: () => "12 EUR" }, list: [new Date(0)] };

      await append([sampleEvent({ payload })]);

      const at = "1970-01-01T00:00:00.000Z";
      expect((await readOrder())[0]?.payload).toStrictEqual({ at, money: "12 EUR", list: [at] });
    });

    it("may be large", async () => {
      const payload = { text: "0123456789".repeat(200_000) };

      await append([sampleEvent({ payload })]);

      expect((await readOrder())[0]?.payload).toEqual(payload);
    });

    it("do not change when the caller changes its object afterwards", async () => {
      const payload = { total: 1 };
      await append([sampleEvent({ payload })]);
      payload.total = 2;

      expect((await readOrder())[0]?.payload).toEqual({ total: 1 });
    });

    it("do not change when a reader changes what it was given", async () => {
      await append([sampleEvent({ payload: { total: 1 } })]);
      const [read] = await readOrder();
      try {
        (read?.payload as { total: number }).total = 2;
      } catch {
        // A store may as well freeze what it gives away.
      }

      expect((await readOrder())[0]?.payload).toEqual({ total: 1 });
    });
  });
}

function deep(levels: number): object {
  return levels === 0 ? {} : { inner: deep(levels - 1) };
}
