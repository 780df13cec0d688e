import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { uuidV7 } from "./event-id.ts";

describe("uuidV7", () => {
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  const bytes = fc.uint8Array({ minLength: 10, maxLength: 10 });

  it("gives the example of RFC 9562", () => {
    const randomBytes = Uint8Array.from([0xcc, 0x31, 0x8c, 0x4d, 0xc0, 0xc0, 0xc0, 0x73, 0x98, 0xf0]);

    expect(uuidV7({ wallClockMs: 0x017f22e279b0, randomBytes })).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  });

  it("is always a UUID of version 7 and the usual variant, whose first 48 bits are the time", () => {
    fc.assert(
      fc.property(time, bytes, (wallClockMs, randomBytes) => {
        const id = uuidV7({ wallClockMs, randomBytes });

        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(Number.parseInt(id.slice(0, 13).replace("-", ""), 16)).toBe(wallClockMs);
      }),
    );
  });

  it("sorts by time", () => {
    fc.assert(
      fc.property(time, time, bytes, bytes, (one, other, bytesOfOne, bytesOfOther) => {
        fc.pre(one < other);
        expect(
          uuidV7({ wallClockMs: one, randomBytes: bytesOfOne }) <
            uuidV7({ wallClockMs: other, randomBytes: bytesOfOther }),
        ).toBe(true);
      }),
    );
  });

  it("is another one whenever a random bit is another one that it carries", () => {
    const randomBytes = new Uint8Array(10);
    const ids = new Set([uuidV7({ wallClockMs: 1, randomBytes })]);
    for (let bit = 0; bit < 80; bit++) {
      const flipped = Uint8Array.from(randomBytes, (byte, index) =>
        index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
      );
      ids.add(uuidV7({ wallClockMs: 1, randomBytes: flipped }));
    }

    // 74 of the 80 bits are carried; version and variant take the place of the others.
    expect(ids.size).toBe(75);
  });

  it("takes fractions of milliseconds", () => {
    expect(uuidV7({ wallClockMs: 1.9, randomBytes: new Uint8Array(10) })).toMatch(/^00000000-0001-7/);
  });
});
