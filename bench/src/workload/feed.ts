import { setTimeout as sleep } from "node:timers/promises";
import type { LiveSystem, OpenLive } from "../systems/live-system.ts";
import { orderPayload } from "./orders.ts";

/** A live system, and what has come to its handler. */
export interface Feed extends LiveSystem {
  /** Moment in which each event was handled first, by its number. */
  readonly handledAt: ReadonlyMap<number, number>;
}

/** What nobody measures: shows that the consumer is running. */
const PROBE = -1;
const PROBE_EVERY_MS = 200;
/** A consumer that has handled nothing after so long never will. */
const PATIENCE_MS = 30_000;

/** Opens a live system and waits until its consumer handles events. */
export async function openFeed(
  open: OpenLive,
  { url, connections, signal }: { url: string; connections: number; signal: AbortSignal },
): Promise<Feed> {
  const handledAt = new Map<number, number>();
  const onHandled = (number: number) => {
    if (!handledAt.has(number)) handledAt.set(number, performance.now());
  };
  const system = await open({ url, connections, onHandled });
  try {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (!handledAt.has(PROBE)) {
      signal.throwIfAborted();
      if (performance.now() > giveUpAt) throw new Error("Expected the consumer to handle an event.");
      await system.append(orderPayload(PROBE));
      await sleep(PROBE_EVERY_MS);
    }
  } catch (error) {
    await system.close();
    throw error;
  }
  return { ...system, handledAt };
}

/**
 * Waits until all these events have been handled, or nothing has come for `quietMs`.
 *
 * @returns how many of them were handled
 */
export async function untilHandled(
  { handledAt }: Pick<Feed, "handledAt">,
  numbers: readonly number[],
  { quietMs, signal }: { quietMs: number; signal: AbortSignal },
): Promise<number> {
  const count = () => numbers.reduce((sum, number) => sum + (handledAt.has(number) ? 1 : 0), 0);
  let handled = count();
  let changedAt = performance.now();
  while (handled < numbers.length && performance.now() - changedAt < quietMs) {
    await sleep(50, undefined, { signal });
    const now = count();
    if (now > handled) changedAt = performance.now();
    handled = now;
  }
  return handled;
}
