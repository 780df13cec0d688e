import type { Randomness } from "@pup/core";
import { createSeededRandomness } from "@pup/testing";

/** Draws from a seed. */
export interface Chance {
  /** True with this probability. */
  happens(probability: number): boolean;
  /** A whole number from `least` to `most`, both inclusive. */
  whole(least: number, most: number): number;
  /** One of them. */
  pick<Item>(items: readonly Item[]): Item;
  /** One of the keys, each as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name;
  readonly uuid: Randomness["uuid"];
}

/** Creates chance that repeats itself with the same seed. Different parts of a run take different `part`s of one seed. */
export function createChance(seed: number, part: number): Chance {
  const { fraction, uuid } = createSeededRandomness(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(part + 1, 0x85ebca6b));
  const whole = (least: number, most: number) => least + Math.floor(fraction() * (most - least + 1));
  return {
    happens: (probability) => fraction() < probability,
    whole,
    pick: (items) => items[whole(0, items.length - 1)] as (typeof items)[number],
    weighted(weights) {
      const entries = Object.entries<number>(weights);
      let drawn = fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      const found = entries.find(([, weight]) => {
        drawn -= weight;
        return drawn < 0;
      });
      return (found ?? entries[0])?.[0] as keyof typeof weights & string as never;
    },
    uuid,
  };
}
