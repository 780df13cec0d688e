import { defineConsumer, type TransactionalContext } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, leaveTrail, trailConsumer } from "./support/trail.ts";

type Handle = (context: TransactionalContext<PgTransaction>) => unknown;

describe("A handler", () => {
  let parts: Parts;

  beforeEach(async () => {
    parts = await openParts(inject("postgresUrl"));
    await createTrail(parts.sql);
    await parts.sql`create table effects (id int)`;
  });
  afterEach(() => parts[Symbol.asyncDispose]());

  /** Runs the handler beside a good consumer, until the good one has all and the bad one has stopped. */
  async function runBad(handle: Handle, settings: { batchTimeoutMs?: number; maxConsecutiveFailures?: number } = {}) {
    await parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Placed", payload: {} }]);
    const running = parts.start({
      consumers: [
        trailConsumer("good"),
        { name: "bad", retryBackoffMs: 10, ...settings, handleBatch: (_, context) => handle(context) },
      ],
    });
    const failed = await running.recorded.first("consumer:failed");
    await reached(running, parts.store, ["good"], 1n);
    expect(await compareTrail(parts.sql, "good")).toMatchObject({ delivered: 1, lost: 0 });
    const [bad] = await parts.store.readCheckpoints(["bad"]);
    expect(bad?.position).toBe(0n);
    const effects = await parts.sql`select id from effects order by id`;
    return { failed, effects: effects.map(({ id }) => id), retries: running.recorded.of("batch:failed").length };
  }

  it("that throws is retried, then stopped, and nothing of it stays", async () => {
    const { failed, effects, retries } = await runBad(async ({ tx }) => {
      await tx.sql`insert into effects values (1)`;
      throw new Error("Poison.");
    });

    expect(failed).toMatchObject({ consumer: "bad", attempts: 5, error: { message: "Poison." } });
    expect(effects).toEqual([]);
    expect(retries).toBe(4);
  });

  it("that rejects with undefined is stopped with an error that says so", async () => {
    const { failed } = await runBad(() => Promise.reject(undefined));

    expect(failed.error).toMatchObject({ code: "PUP_HANDLER_REJECTED" });
  });

  it("that swallows a failed query cannot commit", async () => {
    const { failed, effects } = await runBad(async ({ tx }) => {
      await tx.sql`insert into effects values (1)`;
      await tx.sql`select 1 / 0`.catch(() => undefined);
    });

    expect(failed.error).toMatchObject({ code: "22012" });
    expect(effects).toEqual([]);
  });

  it("that never settles is ended at batchTimeoutMs, leaves no transaction open, and can touch nothing afterwards", async () => {
    const late: Promise<string>[] = [];
    const outcome = (write: PromiseLike<unknown>) =>
      Promise.resolve(write).then(
        () => "written",
        (error: { code: string }) => error.code,
      );
    const { failed, effects } = await runBad(
      async ({ tx, signal }) => {
        await tx.sql`insert into effects values (1)`;
        signal.addEventListener("abort", () => {
          late.push(
            outcome(tx.sql`insert into effects values (2)`),
            outcome(tx.savepoint((inner) => inner.sql`insert into effects values (3)`)),
            outcome(sql`insert into effects values (4)`.execute(tx.db)),
          );
        });
        await new Promise(() => undefined);
      },
      { batchTimeoutMs: 300, maxConsecutiveFailures: 2 },
    );

    expect(failed.error).toMatchObject({ code: "PUP_BATCH_TIMEOUT" });
    expect(await Promise.all(late)).toEqual(Array(6).fill("PUP_TRANSACTION_OVER"));
    expect(effects).toEqual([]);
    const open = await parts.sql`
      select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`;
    expect(open).toHaveLength(0);
  });

  it("that is stuck in a statement is ended with its backend at batchTimeoutMs", async () => {
    const { failed } = await runBad(({ tx }) => tx.sql`select pg_sleep(600)`, {
      batchTimeoutMs: 300,
      maxConsecutiveFailures: 2,
    });

    expect(failed.error).toMatchObject({ code: "PUP_BATCH_TIMEOUT" });
    const sleeping =
      await parts.sql`select from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`;
    expect(sleeping).toHaveLength(0);
  });

  it.each(["commit", "  COMMIT;", "/* now */ rollback", "-- now\nend", "begin", "prepare transaction 'x'"])(
    "that sends %j itself is refused",
    async (statement) => {
      const { failed, effects } = await runBad(
        async ({ tx }) => {
          await tx.sql`insert into effects values (1)`;
          await tx.sql.unsafe(statement);
        },
        { maxConsecutiveFailures: 1 },
      );

      expect(failed.error).toMatchObject({ code: "PUP_TRANSACTION_CONTROL" });
      expect(effects).toEqual([]);
    },
  );

  it.each(["insert into effects values (7); commit", "insert into effects values (7); commit; begin"])(
    "that hides it in %j is noticed before the checkpoint, reported, and stopped at once",
    async (statements) => {
      const { failed, retries } = await runBad(async ({ tx }) => {
        await tx.sql.unsafe(statements).simple();
      });

      expect(failed.error).toMatchObject({ code: expect.stringMatching(/^PUP_TRANSACTION_(HIJACKED|CONTROL)$/) });
      expect(failed.attempts).toBe(1);
      expect(retries).toBe(0);
    },
  );

  it("is handed the epoch, and goes on elsewhere under a higher one", async () => {
    const epochs: number[] = [];
    const note = defineConsumer<PgTransaction>({
      name: "fenced",
      handleBatch(events, { epoch, tx }) {
        epochs.push(epoch);
        return leaveTrail(tx, "fenced", events);
      },
    });
    for (const id of ["o-1", "o-2"]) {
      const running = parts.start({ consumers: [note] });
      await parts.store.append([{ aggregateType: "Order", aggregateId: id, type: "Placed", payload: {} }]);
      await reached(running, parts.store, ["fenced"], await parts.store.latestPosition());
      await running.worker.stop();
    }

    expect(epochs).toEqual([1, 2]);
  });
});
