import { findUnrest, type Unrest, type UnrestOptions } from "./unrest.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Settings of `settle`. */
export interface SettleOptions {
  /** Consumers that need not get to the head of the log: those that are expected to stop. @defaultValue none */
  readonly except?: readonly string[];
  /** Virtual time that may pass at most, in milliseconds. @defaultValue `300_000` (five minutes) */
  readonly maxMs?: number;
}

/**
 * How long nothing has to have changed, in milliseconds of virtual time, until open transactions are taken for what stands in the
 * way: longer than any dispatcher needs to tell of an event.
 */
const STILL_MS = 5_000;

/** Lets time pass until everything is at rest. */
export async function settle(
  time: VirtualTime,
  look: () => UnrestOptions,
  { maxMs = 300_000 }: SettleOptions,
): Promise<void> {
  const { clock } = time;
  const startMs = clock.now();
  let stillSince = { what: "", atMs: startMs };
  await clock.settle();
  for (;;) {
    const unrest = await findUnrest(look());
    if (unrest.length === 0) return;
    const what = unrest.map((one) => one.what).join("\n");
    if (what !== stillSince.what) stillSince = { what, atMs: clock.now() };
    const isStill = clock.now() - stillSince.atMs >= STILL_MS;
    const isHopeless = unrest.every(({ hope }) => hope === "never" || (hope === "held-up" && isStill));
    if (isHopeless && !time.hasForeignTimers) throw standstill(unrest, "time alone will not change that");
    if (!(await time.step(startMs + maxMs))) throw standstill(unrest, `${maxMs} ms have passed`);
  }
}

function standstill(unrest: readonly Unrest[], why: string): Error {
  const list = unrest.map(({ what }) => `- ${what}`).join("\n");
  const cause = unrest.find((one) => one.cause !== undefined)?.cause;
  return new Error(`Expected everything to settle, but ${why}:\n${list}`, cause === undefined ? {} : { cause });
}
