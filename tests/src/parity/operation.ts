import { inspect } from "node:util";
import type { World } from "./world.ts";

/** One thing that a program can do with a store. */
export interface Operation {
  /** For people. */
  readonly what: string;
  /** The slot whose transaction it uses; null for a call of its own. */
  readonly slot: number | null;
  /** May come while another call waits: it only reads, or ends a transaction. */
  readonly besideWaiting: boolean;
  /** It waits no longer than a time of its own, so that its answer can be waited for. */
  readonly limited: boolean;
  run<Tx>(world: World<Tx>): Promise<unknown>;
}

/** Makes an operation. */
export function operation(
  what: string,
  run: Operation["run"],
  { slot = null, besideWaiting = false, limited = false }: Partial<Operation> = {},
): Operation {
  return { what, slot, besideWaiting, limited, run };
}

export function show(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: Number.POSITIVE_INFINITY, compact: true });
}

/** An event id from a small pool, so that they meet. */
export function idOf(number: number): string {
  return `10000000-0000-4000-8000-00000000000${number}`;
}
