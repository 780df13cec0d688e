import type { Randomness } from "@pup/core";

/**
 * Creates chance that can be repeated: the same seed gives the same numbers and ids. Not for secrets.
 *
 * @param seed - a whole number
 *
 * @example
 * ```ts
 * const random = createSeededRandomness(42);
 * random.uuid(); // the same in every run
 * ```
 */
export function createSeededRandomness(seed: number): Randomness {
  const next = mulberry32(seed);

  const hex = (digits: number) => {
    let text = "";
    while (text.length < digits) text += next().toString(16).padStart(8, "0");
    return text.slice(0, digits);
  };

  return {
    fraction: () => next() / 2 ** 32,
    uuid() {
      const variant = (8 + (next() % 4)).toString(16);
      return `${hex(8)}-${hex(4)}-4${hex(3)}-${variant}${hex(3)}-${hex(12)}`;
    },
  };
}

/** Tommy Ettinger's generator: 32 bits of state, passes the usual tests, a few lines. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
