import { createEvents } from "@pup/core";
import { describe, expect, it } from "vitest";
import { recordEvents } from "../record-events.ts";
import "../vitest/index.ts";
import { assertEmitted } from "./assert-emitted.ts";

type Events = {
  "order:placed": { orderId: string; position: bigint };
  "order:failed": { orderId: string; error: unknown };
  "shop:closed": Record<string, never>;
};

function record() {
  const events = createEvents<Events>();
  const recorded = recordEvents<Events>(events);
  events.emit("order:placed", { orderId: "o-1", position: 1n });
  events.emit("order:failed", { orderId: "o-1", error: new RangeError("Too much.") });
  events.emit("order:placed", { orderId: "o-2", position: 2n });
  return recorded;
}

const list = [
  "Emitted (3):",
  "  order:placed { orderId: 'o-1', position: 1n }",
  "  order:failed { orderId: 'o-1', error: RangeError: Too much. }",
  "  order:placed { orderId: 'o-2', position: 2n }",
];
const lines = (...parts: string[]) => parts.join("\n");

describe("toHaveEmitted", () => {
  it("finds an event by its name, and by the parts of its payload that matter", () => {
    const recorded = record();

    expect(recorded).toHaveEmitted("order:placed");
    expect(recorded).toHaveEmitted("order:placed", { orderId: "o-2" });
    expect(recorded).toHaveEmitted("order:failed", { error: { message: "Too much.", name: "RangeError" } });
    expect(recorded).toHaveEmitted("order:failed", { error: expect.any(RangeError) });
    expect(recorded).toHaveEmitted("order:placed", ({ position }) => position > 1n);
    expect(recorded).not.toHaveEmitted("shop:closed");
    expect(recorded).not.toHaveEmitted("order:placed", { orderId: "o-1", position: 2n });
    expect(recorded).not.toHaveEmitted("order:failed", { error: { message: "Too little." } });
  });

  it("says what was emitted instead", () => {
    expect(() => expect(record()).toHaveEmitted("order:placed", { orderId: "o-3" })).toThrow(
      lines("Expected \"order:placed\" with { orderId: 'o-3' } to have been emitted, but it was not.", "", ...list),
    );
  });

  it("says when nothing was", () => {
    const recorded = record();
    recorded.clear();

    expect(() => expect(recorded).toHaveEmitted("shop:closed")).toThrow(
      'Expected "shop:closed" to have been emitted, but it was not.\n\nNothing was emitted.',
    );
  });

  it("says which it was that should not have been", () => {
    expect(() => expect(record()).not.toHaveEmitted("order:placed", { orderId: "o-2" })).toThrow(
      lines(
        "Expected \"order:placed\" with { orderId: 'o-2' } not to have been emitted, but it was, once.",
        "",
        ...list.slice(0, 3),
        "→ order:placed { orderId: 'o-2', position: 2n }",
      ),
    );
  });

  it("shows the newest of many", () => {
    const events = createEvents<Events>();
    const recorded = recordEvents<Events>(events);
    for (let i = 0n; i < 100n; i++) events.emit("order:placed", { orderId: `o-${i}`, position: i });

    expect(() => expect(recorded).toHaveEmitted("shop:closed")).toThrow(
      /Emitted \(100\):\n {2}… 60 earlier ones\n {2}order:placed \{ orderId: 'o-60', position: 60n \}\n/,
    );
  });

  it("refuses what is no recording", () => {
    expect(() => expect(createEvents<Events>()).toHaveEmitted("shop:closed" as never)).toThrow(
      "Expected what `recordEvents` returns: `expect(recordEvents(worker.events))`.",
    );
  });
});

describe("toHaveEmittedTimes", () => {
  it("counts those that fit", () => {
    const recorded = record();

    expect(recorded).toHaveEmittedTimes(2, "order:placed");
    expect(recorded).toHaveEmittedTimes(1, "order:placed", { orderId: "o-1" });
    expect(recorded).toHaveEmittedTimes(0, "shop:closed");
    expect(recorded).not.toHaveEmittedTimes(1, "order:placed");
  });

  it("says how many there were, and marks them", () => {
    expect(() => expect(record()).toHaveEmittedTimes(1, "order:placed")).toThrow(
      lines(
        'Expected "order:placed" to have been emitted once, but it was 2 times.',
        "",
        "Emitted (3):",
        "→ order:placed { orderId: 'o-1', position: 1n }",
        "  order:failed { orderId: 'o-1', error: RangeError: Too much. }",
        "→ order:placed { orderId: 'o-2', position: 2n }",
      ),
    );
  });
});

describe("assertEmitted", () => {
  it("throws nothing when the event is there, else an assertion error with the list", () => {
    const recorded = record();
    assertEmitted(recorded, "order:placed", { orderId: "o-2" });

    expect(() => assertEmitted(recorded, "shop:closed")).toThrow(
      expect.objectContaining({
        name: "AssertionError",
        message: lines('Expected "shop:closed" to have been emitted, but it was not.', "", ...list),
      }),
    );
  });
});
