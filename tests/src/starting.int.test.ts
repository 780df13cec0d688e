import { inspect } from "node:util";
import { createWorker } from "@pup/coordinator";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";
import { recordEvents } from "@pup/testing";
import { createDatabase, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import { describe, expect, inject, it, vi } from "vitest";
import { openParts, reached } from "./support/open-parts.ts";
import { createTrail, trailConsumer } from "./support/trail.ts";

describe("Starting a worker", () => {
  it("without migrations says what to do", async () => {
    const database = await createDatabase(inject("postgresUrl"));
    const store = createPgStore({ connection: database.url });
    const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [trailConsumer("orders")] });

    const error = await worker.start().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "PUP_SCHEMA_MISSING", message: expect.stringContaining("migrate") });
    await store.close();
    await database.drop();
  });

  it("with a wrong password rejects at once, and never shows it", async () => {
    const server = await startPostgres();
    const admin = postgres(server.url, { max: 1 });
    await admin`create role intruder login password 'right'`;
    const { port } = new URL(server.url);
    const logged: unknown[] = [];
    const log = (...entry: unknown[]) => logged.push(entry);
    const connection = {
      host: "127.0.0.1",
      port: Number(port),
      user: "intruder",
      password: "secret-word",
      database: "missing",
    };
    const store = createPgStore({ connection, logger: { debug: log, info: log, warn: log, error: log } });
    const worker = createWorker({
      store,
      dispatcher: createPollDispatcher(),
      consumers: [trailConsumer("orders")],
      logger: { debug: log, info: log, warn: log, error: log },
    });

    const error = await worker.start().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: expect.stringMatching(/^PUP_/) });
    expect(inspect([error, logged], { depth: 20, showHidden: true, getters: true })).not.toContain("secret-word");
    await store.close();
    await admin.end();
    await server.close();
  });

  it("waits for a database that is down, and runs when it comes up", { timeout: 60_000 }, async () => {
    const server = await startPostgres();
    await migrate({ connection: server.url });
    const sql = postgres(server.url, { max: 1, fetch_types: false });
    await createTrail(sql);
    await server.stop();
    const store = createPgStore({ connection: server.url });
    const failed = vi.fn();
    const quiet = () => undefined;
    const worker = createWorker({
      store,
      dispatcher: createPollDispatcher(),
      consumers: [trailConsumer("orders")],
      logger: { debug: failed, info: quiet, warn: failed, error: quiet },
    });
    const recorded = recordEvents(worker.events);
    const running = worker.start();
    const again = [
      expect.objectContaining({ retryInMs: expect.any(Number) }),
      "the database cannot be reached; trying again",
    ];
    await vi.waitFor(
      () => expect(failed.mock.calls.filter(([, message]) => message === again[1])).toEqual([again, again]),
      {
        timeout: 10_000,
      },
    );
    await server.start();
    await recorded.first("worker:started");

    await worker.stop();
    await running;
    await store.close();
    await sql.end();
    await server.close();
  });

  it("says what was wrong when it is told to stop before the database is there", async () => {
    const store = createPgStore({ connection: "postgres://nobody@127.0.0.1:1/nowhere" });
    const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [trailConsumer("orders")] });
    const stopping = new AbortController();
    const running = worker.start({ signal: stopping.signal }).catch((reason: unknown) => reason);
    setImmediate(() => stopping.abort());

    expect(await running).toMatchObject({
      code: "PUP_START_ABORTED",
      cause: { code: expect.stringMatching(/^PUP_CONNECTION/) },
    });
    await store.close();
  });
});

describe("A running worker", () => {
  it.each([
    ["poll", 1],
    ["notify", 2],
  ] as const)(
    "with %s keeps its pool and %i more connections, and none when it has stopped",
    async (dispatch, more) => {
      await using parts = await openParts(inject("postgresUrl"));
      await createTrail(parts.sql);
      const store = createPgStore({ connection: parts.url, max: 3, applicationName: "counted", notify: {} });
      const names = Array.from({ length: 12 }, (_, i) => `consumer ${i}`);
      const running = parts.start({
        store,
        dispatcher: dispatch === "poll" ? createPollDispatcher() : createNotifyDispatcher({ connection: parts.url }),
        consumers: names.map((name) => trailConsumer(name)),
      });
      // All but those of the test itself: a client without a name, and the store that only looks.
      const sessions = async () => {
        const [row] = await parts.sql`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and application_name not in ('postgres.js', 'pup')`;
        return row?.count;
      };
      for (let i = 0; i < 20; i++) {
        await store.append([{ aggregateType: "Order", aggregateId: `o-${i}`, type: "Placed", payload: {} }]);
      }
      await reached(running, parts.store, names, 20n);

      expect(await sessions()).toBe(3 + more);
      await running.worker.stop();
      await store.close();
      await vi.waitFor(async () => expect(await sessions()).toBe(0));
    },
  );
});
