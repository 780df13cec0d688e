import type { Randomness } from "@pup/core";
import { createSeededRandomness } from "@pup/testing";

/** Everything that a seed decides is drawn from one of these, in an order that the seed decides as well. */
export interface Chance {
  /** What is handed to the parts of pup. */
  readonly random: Randomness;
  /** A whole number from `min` to `max`, both inclusive. */
  whole(min: number, max: number): number;
  /** A number from `min` up to `max`. */
  between(min: number, max: number): number;
  /** True with this probability, from 0 to 1. */
  happens(probability: number): boolean;
  /** One of a list that is not empty. */
  pick<Item>(items: readonly Item[]): Item;
  /** One of these, as likely as its weight says. */
  pickWeighted<Item extends string>(weights: Readonly<Record<Item, number>>): Item;
  /** Chance of its own for one part, so that what one part draws changes nothing for the others. */
  fork(): Chance;
}

/** Creates chance that repeats with its seed. */
export function createChance(seed: number): Chance {
  const random = createSeededRandomness(seed);
  const between = (min: number, max: number) => min + random.fraction() * (max - min);
  const whole = (min: number, max: number) => Math.floor(between(min, max + 1));

  return {
    random,
    between,
    whole,
    happens: (probability) => random.fraction() < probability,
    pick: <Item>(items: readonly Item[]) => items[whole(0, items.length - 1)] as Item,
    pickWeighted<Item extends string>(weights: Readonly<Record<Item, number>>) {
      const entries = Object.entries(weights) as [Item, number][];
      let left = between(
        0,
        entries.reduce((sum, [, weight]) => sum + weight, 0),
      );
      for (const [item, weight] of entries) {
        left -= weight;
        if (left < 0) return item;
      }
      return (entries.at(-1) as [Item, number])[0];
    },
    fork: () => createChance(whole(0, 2 ** 31 - 1)),
  };
}
