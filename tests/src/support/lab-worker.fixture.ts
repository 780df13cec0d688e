// A worker process that its parent disturbs: `node lab-worker.fixture.ts <LabWorkerConfig as JSON>`. Tells its parent every event
// of the worker, answers its questions, and stops on SIGTERM.
import { createWorker } from "@pup/coordinator";
import { type Consumer, defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import type { LabWorkerConfig, LabWorkerRequest } from "./lab-worker.ts";
import { leaveTrail } from "./trail.ts";

const { url, dispatch, consumers, work, max, statementTimeoutMs, election, options } = JSON.parse(
  process.argv[2] ?? "",
) as LabWorkerConfig;

let statements = 0;
const store = createPgStore({
  connection: { url, debug: () => ++statements },
  ...(max !== undefined && { max }),
  ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
  ...(election !== undefined && { election, leaseDurationMs: 2_000 }),
  ...(dispatch === "notify" && { notify: {} }),
  applicationName: `lab ${process.pid}`,
});

/** What a handler does between its effect and the end of its batch. */
async function dwell({ sql }: PgTransaction): Promise<unknown> {
  if (work === "statement") return sql`select pg_sleep(3) as dwelling`;
  // 100 MB in rows of 1 MB, faster made than read.
  if (work === "result") return sql`select repeat('x', 1000000) as dwelling from generate_series(1, 100)`;
  return undefined;
}

const worker = createWorker({
  store,
  dispatcher: dispatch === "notify" ? createNotifyDispatcher({ connection: url }) : createPollDispatcher(),
  consumers: consumers.map(
    (name): Consumer<PgTransaction> =>
      defineConsumer<PgTransaction>({
        name,
        async handleBatch(events, { tx }) {
          await leaveTrail(tx, name, events);
          await dwell(tx);
        },
      }),
  ),
  ...options,
});
worker.events.onAny((name, payload) => process.send?.({ event: { name, payload: withoutError(payload) } }));

process.on("message", (request: LabWorkerRequest) => {
  if (request.kind === "block") block(request.durationMs);
  process.send?.({ answer: { statements, health: worker.health().problems } });
});

/** Keeps the process from doing anything else. */
function block(durationMs: number): void {
  const until = performance.now() + durationMs;
  while (performance.now() < until);
}

/** Errors do not always survive the way to the parent. */
function withoutError(payload: object): object {
  return "error" in payload ? { ...payload, error: String(payload.error) } : payload;
}

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("disconnect", () => stopping.abort());
await worker.start({ signal: stopping.signal });
await store.close();
process.disconnect?.();
