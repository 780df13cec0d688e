import { describe, expect, it } from "vitest";
import { createSeededRandomness } from "./seeded-randomness.ts";

describe("createSeededRandomness", () => {
  const take = <Value>(count: number, next: () => Value) => Array.from({ length: count }, next);

  it("repeats itself with the same seed, and not with another one", () => {
    const numbers = (seed: number) => take(10, createSeededRandomness(seed).fraction);
    const ids = (seed: number) => take(10, createSeededRandomness(seed).uuid);

    expect(numbers(1)).toEqual(numbers(1));
    expect(numbers(1)).not.toEqual(numbers(2));
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
  });

  it("gives fractions in [0, 1), spread evenly", () => {
    const numbers = take(10_000, createSeededRandomness(7).fraction);

    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = numbers.filter((number) => Math.floor(number * 10) === tenth).length;
      expect(share).toBeGreaterThan(900);
      expect(share).toBeLessThan(1_100);
    }
  });

  it("gives UUIDs of version 4, all of them different", () => {
    const ids = take(10_000, createSeededRandomness(7).uuid);

    expect(new Set(ids).size).toBe(10_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
