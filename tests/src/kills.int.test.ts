import { setTimeout as pause } from "node:timers/promises";
import { createWorker } from "@pup/coordinator";
import { type Consumer, defineConsumer, type RecordedEvent } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgStore, type PgTransaction } from "@pup/store-pg";
import { type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const KILLS = 100;
const RESTARTS = 5;

/** Leaves two rows for the event, one after the other: a batch that is torn apart leaves one. */
async function leaveHalves(tx: PgTransaction, consumer: string, event: RecordedEvent, between: () => Promise<unknown>) {
  const position = String(event.globalPosition);
  await tx.sql`insert into halves (consumer, position, half) values (${consumer}, ${position}, 1)`;
  await between();
  await tx.sql`insert into halves (consumer, position, half) values (${consumer}, ${position}, 2)`;
}

function consumer(name: string, handle: (event: RecordedEvent, tx: PgTransaction) => Promise<unknown>, batchSize = 5) {
  return defineConsumer<PgTransaction>({ name, batchSize, handle: (event, { tx }) => handle(event, tx) });
}

/** Consumers as people write them, careless ones among them. */
function careless(): Consumer<PgTransaction>[] {
  let old: Promise<unknown> | undefined;
  return [
    consumer("plain", (event, tx) => leaveHalves(tx, "plain", event, () => tx.sql`select pg_sleep(0.002)`)),
    consumer("catches", (event, tx) =>
      leaveHalves(tx, "catches", event, () => tx.sql`select pg_sleep(0.004)`.catch(() => undefined)),
    ),
    consumer("idles", (event, tx) => leaveHalves(tx, "idles", event, () => pause(3))),
    // One event a batch: what comes late comes after the end of its transaction.
    consumer(
      "goes on late",
      async (event, tx) => {
        await leaveHalves(tx, "goes on late", event, () => pause(1));
        void pause(5)
          .then(() => tx.sql`insert into halves (consumer, position, half) values ('goes on late', 0, 3)`)
          .catch(() => undefined);
      },
      1,
    ),
    consumer(
      "awaits an old query",
      async (event, tx) => {
        await old?.catch(() => undefined);
        const query = tx.sql`insert into halves (consumer, position, half) values ('awaits an old query', 0, 3)`;
        // Executed by the next call, whose transaction is another one.
        old = { catch: (recover: () => undefined) => query.then(() => undefined, recover) } as Promise<unknown>;
        await leaveHalves(tx, "awaits an old query", event, () => tx.sql`select 1`);
      },
      1,
    ),
    consumer("catches in a savepoint", (event, tx) =>
      leaveHalves(tx, "catches in a savepoint", event, () =>
        tx.sql.savepoint((inner) => inner`select pg_sleep(0.002), 1 / 0`).catch(() => undefined),
      ),
    ),
  ];
}

describe(`${KILLS} killed backends and ${RESTARTS} immediate restarts of the server during batches`, () => {
  let server: PostgresServer;
  let admin: Sql;
  let store: PgStore;
  const unhandled: unknown[] = [];
  const noteUnhandled = (error: unknown) => unhandled.push(error);

  beforeEach(async () => {
    process.on("unhandledRejection", noteUnhandled).on("uncaughtException", noteUnhandled);
    server = await startPostgres({ settings: { fsync: true } });
    admin = postgres(server.url, { max: 1, onnotice: () => undefined, fetch_types: false });
    await migrate({ connection: server.url });
    await admin`create table halves (consumer text not null, position bigint not null, half int not null)`;
    store = createPgStore({ connection: server.url, max: 8, applicationName: "victim" });
  });
  afterEach(async () => {
    await store.close();
    await admin.end();
    await server.close();
    process.off("unhandledRejection", noteUnhandled).off("uncaughtException", noteUnhandled);
  });

  /** An application that repeats an append, with the same ids, until it is acknowledged. */
  async function append(number: number): Promise<void> {
    const event = {
      id: crypto.randomUUID(),
      aggregateType: "Order",
      aggregateId: `o-${number % 20}`,
      type: "Changed",
      payload: {},
    };
    for (;;) {
      try {
        await store.append([event]);
        return;
      } catch (error) {
        if (!store.isTransient(error)) throw error;
        await pause(20);
      }
    }
  }

  /** Ends some backend of the worker's; whichever it is. */
  async function kill(): Promise<number> {
    try {
      const ended = await admin`
        select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pup victim'
        order by (state <> 'idle') desc, random() limit 1`;
      return ended.length;
    } catch (error) {
      if (!store.isTransient(error)) throw error;
      return 0; // Our own connection fell with the server.
    }
  }

  it("end no process, hang nothing and leave no batch half done", { timeout: 120_000 }, async () => {
    const consumers = careless();
    const worker = createWorker({ store, dispatcher: createPollDispatcher({ intervalMs: 20 }), consumers });
    const running = worker.start();
    const failed = vi.fn();
    worker.events.on("consumer:failed", failed);

    let appended = 0;
    let producing = true;
    const producer = (async () => {
      while (producing) {
        await append(appended++);
        await pause(2);
      }
    })();
    let kills = 0;
    for (let restarts = 0; restarts <= RESTARTS; restarts++) {
      const goal = (KILLS / (RESTARTS + 1)) * (restarts + 1);
      while (kills < goal) {
        kills += await kill();
        await pause(Math.random() * 40);
      }
      if (restarts < RESTARTS) await server.restart({ mode: "immediate" });
    }
    producing = false;
    await producer;

    const last = await store.latestPosition();
    await vi.waitFor(
      async () => {
        const checkpoints = await store.readCheckpoints(consumers.map(({ name }) => name));
        expect(checkpoints.map(({ position }) => position)).toEqual(consumers.map(() => last));
      },
      { timeout: 60_000, interval: 50 },
    );
    await worker.stop();
    await running;

    expect(kills).toBeGreaterThanOrEqual(KILLS);
    expect(failed).not.toHaveBeenCalled();
    expect(unhandled).toEqual([]);
    const [events] = await admin`select count(*)::int as count from events`;
    expect(events?.count).toBe(appended);
    for (const { name } of consumers) {
      const [found] = await admin`
        select count(*)::int as rows, count(distinct (position, half))::int as distinct,
          count(*) filter (where half = 3)::int as late,
          count(*) filter (where position not in (select global_position from events))::int as strangers
        from halves where consumer = ${name}`;
      expect({ name, ...found }).toEqual({ name, rows: 2 * appended, distinct: 2 * appended, late: 0, strangers: 0 });
    }
  });
});
