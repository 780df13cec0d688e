import { setTimeout as sleep } from "node:timers/promises";
import type { Display, Status } from "./status.ts";

const everyMs = 250;

/** Shows how things stand, again and again, until the signal aborts. Rejects when that cannot be found out. */
export async function keepShowing(
  display: Display,
  findOut: () => Promise<Status>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    display.show(await findOut());
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
