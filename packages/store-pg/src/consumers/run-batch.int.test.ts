import type { Batch } from "@pup/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";
import { createStatementLog } from "../test-support/count-statements.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { workerA, workerB } from "../test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

async function own(consumer: string, workerId = workerA): Promise<Batch> {
  await store.createCheckpoint(consumer, 0n);
  const claim = {
    consumer,
    workerId,
    claim: "unowned",
    graceMs: 0,
    batchTimeoutMs: 30_000,
    heartbeatTimeoutMs: 30_000,
  } as const;
  const acquired = await store.acquire(claim);
  if (acquired.outcome !== "acquired") throw new Error(`Expected to acquire ${consumer}, got ${acquired.outcome}.`);
  const { epoch, position } = acquired;
  return { consumer, epoch, from: position, to: 10n, timeoutMs: 10_000, signal: new AbortController().signal };
}

describe("The statements of a batch", () => {
  it("are four beside the handler's own: BEGIN, fence with all settings, checkpoint, COMMIT", async () => {
    const log = createStatementLog();
    const counted = schema.openStore({ connection: { url: schema.url, ...log.options } });
    const batch = await own("orders");
    await counted.runBatch(batch, async () => undefined);

    const sent = await log.during(() =>
      counted.runBatch({ ...batch, from: 10n, to: 20n }, async ({ sql }) => {
        await sql`SELECT 'effect'`;
      }),
    );

    expect(sent.map((text) => text.trim().split(/\s/)[0])).toEqual(["begin", "SELECT", "SELECT", "UPDATE", "commit"]);
  });
});

describe("The transaction of a batch", () => {
  const settingsOf = async ({ sql }: Pick<PgTransaction, "sql">) => {
    const [row] = await sql`
      SELECT
        current_setting('idle_in_transaction_session_timeout') AS idle,
        current_setting('statement_timeout') AS busy,
        current_setting('client_connection_check_interval', true) AS gone,
        current_setting('transaction_isolation') AS isolation`;
    return row;
  };

  it("has limits of its own on the server, which end with it: a frozen client cannot keep it for ever", async () => {
    const [version] = await schema.sql<
      { number: number }[]
    >`SELECT current_setting('server_version_num')::int AS number`;
    const knowsGoneClients = (version?.number ?? 0) >= 140_000;
    const batch = await own("orders");
    let during: unknown;
    let pid = 0;
    await store.runBatch(batch, async (tx) => {
      during = await settingsOf(tx);
      const [backend] = await tx.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      pid = backend?.pid ?? 0;
    });

    let afterwards: unknown;
    await store.transaction(async (tx) => {
      const [backend] = await tx.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      expect(backend?.pid).toBe(pid);
      afterwards = await settingsOf(tx);
    });

    expect(during).toEqual({
      idle: "15s",
      busy: "15s",
      gone: knowsGoneClients ? "500ms" : null,
      isolation: "read committed",
    });
    expect(afterwards).toMatchObject({ idle: "0", busy: "0", gone: knowsGoneClients ? "0" : null });
  });

  it("is READ COMMITTED whatever the database's default says", async () => {
    const batch = await own("orders");
    const database = new URL(schema.url).pathname.slice(1);
    await schema.sql.unsafe(`ALTER DATABASE ${database} SET default_transaction_isolation = 'serializable'`);
    try {
      await schema.openStore().runBatch(batch, async (tx) => {
        expect(await settingsOf(tx)).toMatchObject({ isolation: "read committed" });
      });
    } finally {
      await schema.sql.unsafe(`ALTER DATABASE ${database} RESET default_transaction_isolation`);
    }
  });

  it.each([
    ["COMMIT", async ({ sql }: PgTransaction) => sql.unsafe("select 1; commit")],
    ["COMMIT, and another transaction", async ({ sql }: PgTransaction) => sql.unsafe("select 1; commit; begin")],
    ["ROLLBACK", async ({ sql }: PgTransaction) => sql.unsafe("select 1; rollback; begin")],
  ])("that its handler ended by a hidden %s moves no checkpoint", async (_, hijack) => {
    const batch = await own("orders");

    await expect(
      store.runBatch(batch, async (tx) => {
        await hijack(tx);
      }),
    ).rejects.toMatchObject({ code: "PUP_TRANSACTION_HIJACKED" });

    expect(await store.readCheckpoints(["orders"])).toMatchObject([{ position: 0n }]);
  });

  it("whose handler changes the checkpoint's epoch is not committed", async () => {
    const batch = await own("orders");

    await expect(
      store.runBatch(batch, async ({ sql }) => {
        await sql.unsafe(`UPDATE "${schema.schema}".consumer_checkpoints SET epoch = epoch + 1`);
      }),
    ).rejects.toMatchObject({ code: "PUP_TRANSACTION_HIJACKED" });

    expect(await store.readCheckpoints(["orders"])).toMatchObject([{ epoch: batch.epoch, position: 0n }]);
  });
});

describe("Batches at once", () => {
  it("leave connections for everything else: statements are answered while all of them wait", async () => {
    const small = schema.openStore({ max: 4 });
    const finish = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    const names = Array.from({ length: 8 }, (_, index) => `consumer-${index}`);
    const batches = await Promise.all(names.map((name) => own(name)));
    const two = Promise.withResolvers<void>();
    const all = batches.map((batch) =>
      small.runBatch(batch, async () => {
        running += 1;
        most = Math.max(most, running);
        if (running === 2) two.resolve();
        await finish.promise;
        running -= 1;
      }),
    );
    await two.promise;

    await small.append([{ aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} }]);
    expect(await small.latestPosition()).toBe(1n);
    const [connections] = await schema.sql<{ count: number }[]>`
      SELECT count(*)::int FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'pup%' AND state = 'idle in transaction'`;
    finish.resolve();
    await Promise.all(all);

    expect(most).toBe(2);
    expect(connections).toEqual({ count: 2 });
  });

  it("are checked for ownership in the transaction that commits, not while they wait for their turn", async () => {
    const narrow = schema.openStore({ max: 2 });
    const first = await own("first");
    const waiting = await own("waiting");
    const finish = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const running = narrow.runBatch(first, async () => {
      begun.resolve();
      await finish.promise;
    });
    await begun.promise;
    let called = false;
    const late = narrow.runBatch(waiting, async () => {
      called = true;
    });
    late.catch(() => undefined);

    await own("waiting", workerB);
    finish.resolve();
    await running;

    await expect(late).rejects.toMatchObject({ code: "PUP_FENCED", consumer: "waiting" });
    expect(called).toBe(false);
  });

  it("give up their place when their signal aborts", async () => {
    const narrow = schema.openStore({ max: 2 });
    const finish = Promise.withResolvers<void>();
    const running = narrow.runBatch(await own("first"), () => finish.promise);
    const stop = new AbortController();
    const waiting = narrow.runBatch({ ...(await own("waiting")), signal: stop.signal }, async () => undefined);
    waiting.catch(() => undefined);

    stop.abort(new Error("enough"));

    await expect(waiting).rejects.toMatchObject({ code: "PUP_TRANSACTION_ABORTED" });
    finish.resolve();
    await running;
  });
});
