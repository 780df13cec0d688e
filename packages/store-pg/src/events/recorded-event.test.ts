import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toDate } from "./recorded-event.ts";

describe("toDate", () => {
  it("gives the millisecond in which a time with microseconds lies, though the number holds it only nearly", () => {
    const microseconds = fc.integer({ min: 0, max: 4_102_444_800_000_000 });

    fc.assert(
      fc.property(microseconds, (us) => {
        expect(toDate(us / 1_000_000).getTime()).toBe(Math.floor(us / 1_000));
      }),
    );
  });

  it("takes the number as text, as some drivers give it", () => {
    expect(toDate("1732350000.123999" as unknown as number).toISOString()).toBe("2024-11-23T08:20:00.123Z");
  });
});
