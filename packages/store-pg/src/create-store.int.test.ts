import { inspect } from "node:util";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { createPgStore } from "./create-store.ts";
import { type TestSchema, useSchemas } from "./test-support/open-schema.ts";
import { workerA } from "./test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;
beforeAll(async () => {
  schema = await openSchema();
  return () => schema[Symbol.asyncDispose]();
});

const event = { aggregateType: "Order", aggregateId: "order-1", type: "OrderPlaced", payload: {} };

/** Connections of one application, by the name that only its store has. */
async function connectionsOf(applicationName: string): Promise<number> {
  const [row] = await schema.sql<{ count: number }[]>`
    SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${`pup ${applicationName}`}`;
  return row?.count ?? -1;
}

describe("A store", () => {
  it("opens nothing before something is asked of it", async () => {
    const store = schema.openStore({ applicationName: "idle" });

    expect(await connectionsOf("idle")).toBe(0);
    await store.close();
  });

  it("opens no more connections than its pool has, and one for each control session", async () => {
    const store = schema.openStore({ applicationName: "busy", max: 4 });
    await store.createCheckpoint("orders", 0n);
    await store.openControlSession();

    await Promise.all([
      ...Array.from({ length: 20 }, () => store.latestPosition()),
      ...Array.from({ length: 10 }, () => store.transaction((tx) => tx.sql`SELECT pg_sleep(0.01)`)),
    ]);

    expect(await connectionsOf("busy")).toBe(5);
    await store.close();
  });

  it("leaves nothing behind when it is closed, twice too", async () => {
    const store = schema.openStore({ applicationName: "closing", notify: { channel: "closing" } });
    const session = await store.openControlSession();
    await session.register({ workerId: workerA, consumers: [] });
    await session.holdLivenessLock(workerA);
    await session.election.tick();
    await store.append([event]);

    await store.close();
    await store.close();

    await vi.waitFor(async () => expect(await connectionsOf("closing")).toBe(0));
    expect(session.lost.aborted).toBe(true);
  });

  it("lets what is running finish before it closes, calls of several statements and transactions included", async () => {
    const store = schema.openStore();
    const repeated = { ...event, aggregateId: "last-words", id: "0190a000-0000-7000-8000-00000000beef" };
    await store.append([repeated]);
    const goOn = Promise.withResolvers<void>();
    const appending = store.append([repeated]);
    const working = store.transaction(async (tx) => {
      await goOn.promise;
      return store.append([{ ...event, aggregateId: "last-words" }], { tx });
    });

    const closing = store.close();
    goOn.resolve();
    await closing;

    expect(await appending).toMatchObject({ duplicate: true, toVersion: 1 });
    expect(await working).toMatchObject({ toVersion: 2 });
  });

  it("refuses everything once it is closed", async () => {
    const store = schema.openStore();
    await store.close();

    for (const call of [
      () => store.append([event]),
      () => store.latestPosition(),
      () => store.transaction(async () => undefined),
      () => store.openControlSession(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    }
    store.wake();
  });

  it("works through a client factory, and with a password from a function", async () => {
    const { password, username, hostname, port, pathname } = new URL(schema.url);
    const asked = vi.fn(async () => decodeURIComponent(password));
    const store = schema.openStore({
      connection: { host: hostname, port: Number(port), database: pathname.slice(1), username, password: asked },
    });

    await store.checkSchema();

    expect(asked).toHaveBeenCalled();
    await store.close();
  });

  it("works unprepared, as some poolers need it", async () => {
    const store = schema.openStore({ prepare: false });
    await store.append([{ ...event, aggregateId: "unprepared" }]);

    const prepared = await store.transaction(async (tx) => {
      await store.append([{ ...event, aggregateId: "unprepared" }], { tx });
      return tx.sql`SELECT FROM pg_prepared_statements`;
    });

    expect(prepared).toHaveLength(0);
    await store.close();
  });

  it("keeps its own statements prepared", async () => {
    const store = schema.openStore();
    const append = () =>
      store.transaction(async (tx) => {
        await store.append([{ ...event, aggregateId: "prepared" }], { tx });
        return tx.sql<{ count: number }[]>`
          SELECT count(*)::int FROM pg_prepared_statements WHERE statement LIKE ${"%INSERT INTO%"}`;
      });

    const counts = [];
    for (let round = 0; round < 3; round++) counts.push((await append())[0]?.count);

    expect(counts).toEqual([1, 1, 1]);
    await store.close();
  });
});

describe("Credentials", () => {
  const secret = "hunter2-top-secret";
  const withWrongPassword = () => {
    const url = new URL(schema.url);
    url.password = secret;
    return url.href;
  };
  const show = (value: unknown) => inspect(value, { depth: 20, showHidden: true, getters: true, maxStringLength: 1e6 });

  it.each([
    ["a connection string", () => withWrongPassword()],
    ["options", () => ({ url: withWrongPassword() })],
    ["a function", () => ({ url: schema.url, password: async () => secret })],
  ])("that are wrong are told clearly, and stay secret: %s", async (_, connection) => {
    const lines: unknown[] = [];
    const log = (facts: object, message: string) => lines.push(facts, message);
    const store = createPgStore({
      connection: connection(),
      schema: schema.schema,
      logger: { debug: log, info: log, warn: log, error: log },
    });

    const errors = await Promise.all(
      [
        store.checkSchema(),
        store.append([event]),
        store.transaction(async () => undefined),
        store.openControlSession(),
      ].map((call) =>
        call.then(
          () => "no error",
          (error: unknown) => error,
        ),
      ),
    );
    await store.close();

    expect(errors[0]).toMatchObject({ code: "PUP_LOGIN_REFUSED", message: expect.stringContaining("password") });
    for (const error of errors.slice(1)) expect(error).toMatchObject({ code: "PUP_CONNECTION_FAILED" });
    expect(show(errors)).not.toContain(secret);
    expect(show(lines)).not.toContain(secret);
    expect(show(store)).not.toContain(secret);
  });

  it("stay secret when the connection string cannot be read", () => {
    const make = () => createPgStore({ connection: `postgres://user:${secret}@ho st:port/x` });

    expect(make).toThrow(expect.objectContaining({ code: "PUP_INVALID_OPTION" }));
    try {
      make();
    } catch (error) {
      expect(show(error)).not.toContain(secret);
    }
  });
});
