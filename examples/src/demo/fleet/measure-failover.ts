import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "postgres";
import { DemoFailure } from "../demo-failure.ts";

/** A consumer that ran in a worker that was then killed. */
export interface Orphan {
  readonly consumer: string;
  /** Epoch under which the dead worker ran it. */
  readonly epoch: number;
}

/** How long it took, in milliseconds from the kill. */
export interface Failover {
  /** Until all of them had a new owner. */
  readonly takenOverMs: number;
  /** Until all of them had committed effects under it. */
  readonly wentOnMs: number;
}

const pollIntervalMs = 10;

/**
 * Waits until other workers go on with the consumers of a dead one. The database tells: nobody else has to be asked.
 *
 * @param killedAt - by `performance.now()`
 * @throws {@link DemoFailure} when it takes longer than `limitMs`
 */
export async function measureFailover(
  sql: Sql,
  orphans: readonly Orphan[],
  { killedAt, limitMs, signal }: { killedAt: number; limitMs: number; signal: AbortSignal },
): Promise<Failover> {
  let takenOverMs: number | null = null;
  for (;;) {
    const progress = await lookAt(sql, orphans);
    const elapsedMs = Math.round(performance.now() - killedAt);
    if (progress.every(({ takenOver }) => takenOver)) takenOverMs ??= elapsedMs;
    if (takenOverMs !== null && progress.every(({ wentOn }) => wentOn)) return { takenOverMs, wentOnMs: elapsedMs };
    if (elapsedMs > limitMs) {
      const names = progress.filter(({ wentOn }) => !wentOn).map(({ consumer }) => consumer);
      throw new DemoFailure(`Nobody went on with ${names.join(", ")} within ${limitMs / 1_000} s after the kill.`);
    }
    await sleep(pollIntervalMs, undefined, { signal });
  }
}

function lookAt(sql: Sql, orphans: readonly Orphan[]) {
  return sql<{ consumer: string; takenOver: boolean; wentOn: boolean }[]>`
    select
      orphan.consumer,
      exists (
        select from consumer_checkpoints where consumer_name = orphan.consumer and epoch > orphan.epoch
      ) as "takenOver",
      orphan.epoch < coalesce(
        (select epoch from trail where trail.consumer = orphan.consumer order by sequence desc limit 1),
        0
      ) as "wentOn"
    from jsonb_to_recordset(${JSON.stringify(orphans)}::text::jsonb) as orphan (consumer text, epoch bigint)`;
}
