import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPgStore, migrate, type PgStoreOptions } from "@pup/store-pg";
import postgres from "postgres";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { openParts, reached } from "./support/open-parts.ts";
import { findPgBouncer, keepsStatementsPrepared, startPgBouncer } from "./support/start-pgbouncer.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

const program = findPgBouncer();
const unless = program === undefined ? " (skipped: pgbouncer is not installed)" : "";
const canPrepare = program !== undefined && keepsStatementsPrepared(program);
const unlessNewer = canPrepare ? "" : " (skipped: pgbouncer is older than 1.21)";

/** A fresh database behind a pooler, and stores that reach it only through that. */
async function openPooled(settings: Readonly<Record<string, string | number>> = {}) {
  const parts = await openParts(inject("postgresUrl"));
  const pooler = await startPgBouncer(program ?? "", parts.url, settings);
  const stores: AsyncDisposable[] = [];
  onTestFinished(async () => {
    for (const store of stores) await store[Symbol.asyncDispose]();
    await parts[Symbol.asyncDispose]();
    await pooler[Symbol.asyncDispose]();
  });
  return {
    ...parts,
    pooledUrl: pooler.url,
    openStore(options: Partial<PgStoreOptions> = {}) {
      const store = createPgStore({ connection: pooler.url, prepare: false, ...options });
      stores.push({ [Symbol.asyncDispose]: () => store.close() });
      return store;
    },
  };
}

/** Advisory locks in the database, and transactions that were left open. */
async function leftovers({ sql }: Pick<Awaited<ReturnType<typeof openPooled>>, "sql">) {
  return sql`
    SELECT 'lock' AS what FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND datname = current_database()
    UNION ALL
    SELECT 'transaction' FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'`;
}

const events = (count: number) => Array.from({ length: count }, () => ({ type: "OrderPlaced", payload: {} }));

describe.skipIf(program === undefined)(`Behind PgBouncer in transaction mode${unless}`, () => {
  it.each([
    ["", {}],
    [" with one connection to the server", { default_pool_size: 1 }],
    [" that deals its connections out in turn", { server_round_robin: 1 }],
    [" that deals two connections out in turn", { server_round_robin: 1, default_pool_size: 2 }],
    [" that resets sessions after each transaction", { server_reset_query_always: 1 }],
  ])("a store%s chooses the lease, and leaves nothing behind", async (_, settings) => {
    const pooled = await openPooled(settings);
    const writer = pooled.openStore();
    await Promise.all([1, 2].map(() => writer.transaction((tx) => tx.sql`SELECT pg_sleep(0.1)`)));

    for (let count = 0; count < 3; count++) {
      const session = await pooled.openStore({ election: "auto" }).openControlSession();
      expect(session.election.driver).toBe("lease");
    }

    expect(await leftovers(pooled)).toEqual([]);
  });

  it.each([
    ["", {}],
    [" with one connection to the server", { default_pool_size: 1 }],
  ])("a store%s that was told to take a session's lock refuses, and says what to do", async (_, settings) => {
    const pooled = await openPooled(settings);
    const store = pooled.openStore({ election: "advisory" });

    const error = await store.openControlSession().catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: "PUP_UNSUPPORTED", message: expect.stringContaining("lease") });
    expect(await leftovers(pooled)).toEqual([]);
  });

  it("appends that travel together leave the next one on the connection no time-out for locks", async () => {
    const pooled = await openPooled({ default_pool_size: 1 });
    const store = pooled.openStore();
    const append = (aggregateId: string) =>
      store.append([{ aggregateType: "Order", aggregateId, type: "OrderPlaced", payload: {} }]);

    const results = await Promise.all(["a", "b", "c", "d", "c"].map(append));
    const setting = await pooled.openStore().transaction(({ sql }) => sql`SHOW lock_timeout`);

    expect(results.map(({ toVersion }) => toVersion)).toEqual([1, 1, 1, 1, 2]);
    expect(setting).toEqual([{ lock_timeout: "0" }]);
  });

  it("migrations are applied", async () => {
    const pooled = await openPooled();

    const { applied } = await migrate({ connection: { url: pooled.pooledUrl, prepare: false }, schema: "other" });

    expect(applied.length).toBeGreaterThan(1);
  });

  it("a store in front of a pooler in session mode takes the session's lock", async () => {
    const pooled = await openPooled({ pool_mode: "session" });

    const session = await pooled.openStore({ election: "auto" }).openControlSession();

    expect(session.election.driver).toBe("advisory");
  });

  it("a store that was wrong about it finds out when it leads, and takes a lease from then on", async () => {
    const pooled = await openPooled({ pool_mode: "session" });
    const store = pooled.openStore({ election: "auto" });
    const session = await store.openControlSession();
    expect(session.election.driver).toBe("advisory");
    expect(await session.election.tick()).not.toBeNull();

    const console = postgres(new URL("/pgbouncer", pooled.pooledUrl).href, { max: 1, fetch_types: false });
    await console`SET pool_mode = 'transaction'`.simple();
    await console.end();
    await session.survey(); // Its backend is anybody's afterwards.
    const ticked = pooled.openStore().transaction(async ({ sql }) => {
      await sql`SELECT 1`;
      await session.election.tick();
    });

    await expect(ticked).rejects.toMatchObject({ code: "PUP_UNSUPPORTED" });
    expect((await store.openControlSession()).election.driver).toBe("lease");
  });

  it("workers share the consumers out, handle every event once, and take over from one that leaves", async () => {
    const pooled = await openPooled();
    await createTrail(pooled.sql);
    const writer = pooled.openStore();
    const names = ["orders", "invoices", "mails", "totals"];
    const append = (order: string) =>
      writer.append(events(50).map((event) => ({ ...event, aggregateType: "Order", aggregateId: order })));
    for (let order = 0; order < 5; order++) await append(`before-${order}`);

    const start = () => {
      const store = pooled.openStore({ leaseDurationMs: 2_000 });
      const consumers = names.map((name) => trailConsumer(name));
      return pooled.start({ store, consumers, heartbeatIntervalMs: 300, heartbeatTimeoutMs: 2_000 });
    };
    const first = start();
    await first.recorded.first("leader:acquired");
    const second = start();
    await second.recorded.first("worker:started");
    expect(first.recorded.of("leader:election-chosen")).toEqual([{ workerId: first.worker.id, driver: "lease" }]);
    await vi.waitFor(() => expect(second.recorded.of("consumer:acquired")).toHaveLength(2), { timeout: 10_000 });

    await first.worker.stop();
    await vi.waitFor(() => expect(second.worker.health()).toMatchObject({ leads: true, ready: true }), {
      timeout: 10_000,
    });
    for (let order = 0; order < 5; order++) await append(`after-${order}`);

    await reached(second, writer, names, await writer.latestPosition());
    for (const name of names) {
      expect(await compareTrail(pooled.sql, name)).toMatchObject({ lost: 0, duplicates: 0, outOfOrder: 0 });
    }
    expect(second.recorded.of("batch:failed")).toEqual([]);
    await second.worker.stop();
    expect(await leftovers(pooled)).toEqual([]);
  });

  it("a batch whose handler is stuck in a statement is ended at batchTimeoutMs, with the backend that ran it", async () => {
    const pooled = await openPooled();
    await pooled.openStore().append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} }]);
    const running = pooled.start({
      store: pooled.openStore(),
      consumers: [
        {
          name: "stuck",
          batchTimeoutMs: 300,
          // The next try must not begin while we look.
          retryBackoffMs: 600_000,
          maxRetryBackoffMs: 600_000,
          handleBatch: async (_, { tx }) => {
            // Else the server would notice by itself, from 14 on, that nobody waits for the answer any more.
            await tx.sql`
              SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'client_connection_check_interval'`;
            await tx.sql`SELECT pg_sleep(600)`;
          },
        },
      ],
    });

    expect(await running.recorded.first("batch:failed")).toMatchObject({ error: { code: "PUP_BATCH_TIMEOUT" } });
    expect(
      await pooled.sql`
        SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND state = 'active'`,
    ).toHaveLength(0);
  });

  it("a frozen owner's batch is ended by who takes its consumer over", async () => {
    const pooled = await openPooled();
    const [frozen, next] = [pooled.openStore(), pooled.openStore()];
    const [owner, heir] = [crypto.randomUUID(), crypto.randomUUID()];
    const session = await next.openControlSession();
    for (const workerId of [owner, heir]) await session.register({ workerId, consumers: ["orders"] });
    await next.createCheckpoint("orders", 0n);
    const deal = async (workerId: string, dead: readonly string[] = []) =>
      session.assign((await session.election.tick()) ?? { term: -1 }, {
        assignments: new Map([["orders", workerId]]),
        dead,
      });
    const claim = {
      consumer: "orders",
      claim: "assigned",
      graceMs: 30_000,
      batchTimeoutMs: 30_000,
      heartbeatTimeoutMs: 30_000,
    } as const;
    await deal(owner);
    await frozen.acquire({ ...claim, workerId: owner });
    const begun = Promise.withResolvers<void>();
    const { signal } = new AbortController();
    const batch = frozen
      .runBatch({ consumer: "orders", epoch: 1, from: 0n, to: 9n, timeoutMs: 600_000, signal }, () => {
        begun.resolve();
        return new Promise(() => undefined);
      })
      .catch((error: unknown) => error);
    await begun.promise;

    await deal(heir, [owner]);

    expect(await next.acquire({ ...claim, workerId: heir })).toMatchObject({
      outcome: "acquired",
      epoch: 2,
      position: 0n,
    });
    expect(await batch).toMatchObject({ code: "PUP_CONNECTION_LOST" });
  });

  it("the workers of two databases keep apart", async () => {
    const one = await openPooled();
    const two = await openParts(inject("postgresUrl"));
    onTestFinished(() => two[Symbol.asyncDispose]());
    const urlOfTwo = new URL(one.pooledUrl);
    urlOfTwo.pathname = new URL(two.url).pathname;
    for (const [parts, order] of [
      [one, "one"],
      [two, "two"],
    ] as const) {
      await createTrail(parts.sql);
      await parts.store.append(events(3).map((event) => ({ ...event, aggregateType: "Order", aggregateId: order })));
    }

    const consumers = [trailConsumer("orders")];
    const first = one.start({ store: one.openStore(), consumers });
    const second = one.start({ store: one.openStore({ connection: urlOfTwo.href }), consumers });

    for (const [running, parts] of [
      [first, one],
      [second, two],
    ] as const) {
      await reached(running, parts.store, ["orders"], 3n);
      expect(running.recorded.of("leader:election-chosen")).toMatchObject([{ driver: "lease" }]);
      expect(await compareTrail(parts.sql, "orders")).toMatchObject({ committed: 3, delivered: 3, lost: 0 });
    }
    await Promise.all([first.worker.stop(), second.worker.stop()]);
  });

  it("a store that keeps statements prepared where the pooler does not says so at once", async () => {
    const pooled = await openPooled(canPrepare ? { max_prepared_statements: 0 } : {});
    const store = pooled.openStore({ prepare: true });
    const holder = pooled.openStore();
    const ask = () => store.transaction(({ sql }) => sql`SELECT ${1}::int AS one`);
    await ask();
    const error = await holder.transaction(async ({ sql }) => {
      await sql`SELECT 1`; // On the backend that was free last: the statement is prepared there.
      return ask().catch((reason: unknown) => reason);
    });

    expect(error).toMatchObject({
      code: "PUP_UNSUPPORTED",
      message: expect.stringContaining("`prepare: false`"),
      cause: { code: "26000" },
    });
    expect(await leftovers(pooled)).toEqual([]);
  });

  it.skipIf(!canPrepare)(`statements are kept prepared where the pooler keeps them${unlessNewer}`, async () => {
    const pooled = await openPooled({ max_prepared_statements: 100 });
    await createTrail(pooled.sql);
    const store = pooled.openStore({ prepare: true });
    const running = pooled.start({ store, consumers: [trailConsumer("orders")] });
    for (let order = 0; order < 20; order++) {
      await Promise.all(
        [1, 2, 3].map((n) =>
          store.append([{ aggregateType: "Order", aggregateId: `o-${order}-${n}`, type: "OrderPlaced", payload: {} }]),
        ),
      );
    }

    await reached(running, pooled.store, ["orders"], 60n);
    expect(await compareTrail(pooled.sql, "orders")).toMatchObject({ delivered: 60, lost: 0, duplicates: 0 });
    expect(running.recorded.of("batch:failed")).toEqual([]);
    await running.worker.stop();
  });

  it("a notify dispatcher refuses to start, and says what to take instead", async () => {
    const pooled = await openPooled();
    const dispatcher = createNotifyDispatcher({ connection: pooled.pooledUrl });
    const running = pooled.start({ store: pooled.openStore(), dispatcher, consumers: [trailConsumer("orders")] });

    await expect(running.ended).rejects.toMatchObject({
      code: "PUP_UNSUPPORTED",
      message: expect.stringContaining("@pup/dispatch-poll"),
    });
    await vi.waitFor(async () => expect(await leftovers(pooled)).toEqual([]));
  });

  it("no lock of a session is taken to tell who is alive", async () => {
    const pooled = await openPooled();
    const session = await pooled.openStore().openControlSession();
    const workerId = crypto.randomUUID();
    await session.register({ workerId, consumers: ["orders"] });

    expect(await session.holdLivenessLock(workerId)).toBe(false);
    expect(await session.observeWorkers()).toMatchObject([{ workerId, livenessLockHeld: false }]);
    expect(await leftovers(pooled)).toEqual([]);
  });
});
