import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "postgres";
import { DemoFailure } from "../demo-failure.ts";

/** A consumer that ran in a worker that was then killed. */
export interface Orphan {
  readonly consumer: string;
  /** Epoch under which the dead worker ran it. */
  readonly epoch: number;
}

const pollIntervalMs = 10;

/**
 * Waits until each of the consumers has committed effects under another owner.
 *
 * @param killedAt - by `performance.now()`
 * @returns milliseconds from then until the last of them had
 * @throws {@link DemoFailure} when that takes longer than `limitMs`
 */
export async function measureFailover(
  sql: Sql,
  orphans: readonly Orphan[],
  { killedAt, limitMs, signal }: { killedAt: number; limitMs: number; signal: AbortSignal },
): Promise<number> {
  for (;;) {
    const waiting = await sql<{ consumer: string }[]>`
      select orphan.consumer
      from jsonb_to_recordset(${JSON.stringify(orphans)}::text::jsonb) as orphan (consumer text, epoch bigint)
      where not orphan.epoch < coalesce(
        (select epoch from trail where trail.consumer = orphan.consumer order by sequence desc limit 1),
        0)`;
    const tookMs = performance.now() - killedAt;
    if (waiting.length === 0) return Math.round(tookMs);
    if (tookMs > limitMs) {
      const names = waiting.map(({ consumer }) => consumer).join(", ");
      throw new DemoFailure(`Nobody went on with ${names} within ${limitMs / 1_000} s after the worker was killed.`);
    }
    await sleep(pollIntervalMs, undefined, { signal });
  }
}
