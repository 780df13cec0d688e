import { randomBytes, randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { createWorker, type WorkerOptions } from "@pup/coordinator";
import {
  type Dispatcher,
  defineConsumer,
  type NewEvent,
  type RecordedEvent,
  type TransactionalContext,
} from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgStore, type PgStoreOptions, type PgTransaction } from "@pup/store-pg";
import { recordEvents } from "@pup/testing";
import { findBinaries, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

const PASSWORD = `password-${randomUUID()}`;
const PAYLOAD = `payload-${randomUUID()}`;
const METADATA = `metadata-${randomUUID()}`;

/** All that can be seen of something. */
function spoken(value: unknown): string {
  const all = { maxArrayLength: null, maxStringLength: null };
  return inspect(value, { depth: 10, showHidden: true, getters: true, ...all });
}

function newEvent(fields: Partial<NewEvent> = {}): NewEvent {
  return {
    aggregateType: "Order",
    aggregateId: randomUUID(),
    type: "Placed",
    payload: { text: PAYLOAD },
    metadata: { text: METADATA },
    ...fields,
  };
}

type Handle = (event: RecordedEvent, context: TransactionalContext<PgTransaction>) => Promise<unknown>;

/** Handlers that go wrong with the payload in their hands. The text of an error that they make themselves is their own. */
const failing: Readonly<Record<string, Handle>> = {
  "throws what it says itself": async () => {
    throw new Error("own words");
  },
  "casts a text that is no number": (_, { tx }) => tx.sql`SELECT ${PAYLOAD}::text::integer`,
  "reads a text that is no number from the log": (_, { tx }) =>
    tx.sql`SELECT (payload ->> 'text')::integer FROM events`,
  "sends a text for a JSON": (_, { tx }) => tx.sql`SELECT ${PAYLOAD}::text::json`,
  "misspells a statement": (_, { tx }) => tx.sql`SELEC ${PAYLOAD}::text`,
  "names a column that is not there": (_, { tx }) => tx.sql`SELECT missing FROM notes WHERE body = ${PAYLOAD}`,
  "violates a check": (_, { tx }) => tx.sql`INSERT INTO notes (body, length) VALUES (${PAYLOAD}, -1)`,
  "writes a key twice": async (_, { tx }) => {
    for (const length of [1, 2]) await tx.sql`INSERT INTO notes (body, length) VALUES (${PAYLOAD}, ${length})`;
  },
  "sends undefined beside the payload": (_, { tx }) => tx.sql`SELECT ${PAYLOAD}::text, ${undefined as never}`,
  "takes too long": async (_, { tx }) => {
    await tx.sql`SET LOCAL statement_timeout = 50`;
    await tx.sql`SELECT pg_sleep(10), ${PAYLOAD}::text`;
  },
  "fails in a function": (_, { tx }) => tx.sql`SELECT fail(${PAYLOAD})`,
  "uses Kysely": (_, { tx }) =>
    (tx as PgTransaction<{ notes: { body: string; length: number } }>).db
      .insertInto("notes")
      .values({ body: PAYLOAD, length: -2 })
      .execute(),
};

// A server of somebody else's is not to be restarted.
describe.skipIf((await findBinaries()).length === 0)("Passwords and payloads", () => {
  let server: PostgresServer;
  let admin: Sql;
  const stores: PgStore[] = [];
  const logged: unknown[] = [];
  const told: unknown[] = [];
  const errors: Record<string, unknown> = {};

  const log = (...entry: unknown[]) => logged.push(entry);
  const logger = { debug: log, info: log, warn: log, error: log };

  beforeAll(async () => {
    server = await startPostgres({ source: "binaries" });
    admin = postgres(server.url, { max: 4, fetch_types: false, onnotice: () => undefined });
    await admin.unsafe(`
      CREATE ROLE secretive SUPERUSER LOGIN PASSWORD '${PASSWORD}';
      CREATE TABLE notes (body text PRIMARY KEY, length integer CHECK (length > 0));
      CREATE FUNCTION fail(body text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN EXECUTE 'INSERT INTO notes VALUES (''' || body || ''', 0)'; END $$`);
    await migrate({ connection: connectionWith(PASSWORD), logger });
    await admin.unsafe(`
      CREATE INDEX ON events ((payload ->> 'indexed'));
      ALTER TABLE events ADD CHECK ((payload ->> 'cents')::integer > 0)`);
    await disturb();
  }, 120_000);
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await admin.end();
    await server.close();
  });

  function connectionWith(password: string | (() => Promise<string>)) {
    const { port } = new URL(server.url);
    return { host: "127.0.0.1", port: Number(port), user: "secretive", password, database: "postgres" };
  }

  function openStore(options: Partial<PgStoreOptions> = {}): PgStore {
    const store = createPgStore({ connection: connectionWith(async () => PASSWORD), notify: {}, logger, ...options });
    stores.push(store);
    return store;
  }

  function startWorker(
    store: PgStore,
    dispatcher: Dispatcher,
    consumers: WorkerOptions<PgTransaction>["consumers"],
    options: Partial<WorkerOptions<PgTransaction>> = {},
  ) {
    const worker = createWorker({
      store,
      dispatcher,
      consumers,
      logger,
      assignmentPollMs: 50,
      maxConsecutiveFailures: 2,
      retryBackoffMs: 1,
      ...options,
    });
    for (const events of [worker.events, dispatcher.events]) {
      (events as typeof worker.events).onAny((name, payload) => told.push({ name, payload }));
    }
    const recorded = recordEvents(worker.events);
    const running = worker.start();
    running.catch(() => undefined);
    return { worker, recorded, running };
  }

  async function expectFailure(name: string, act: () => PromiseLike<unknown>): Promise<void> {
    errors[name] = await Promise.resolve()
      .then(act)
      .then(
        () => "nothing went wrong",
        (error: unknown) => error,
      );
  }

  /** One fault after the other; what comes of them is collected above. */
  async function disturb(): Promise<void> {
    const store = openStore();
    await refuseLogins();
    await failAppends(store);
    await failHandlers(store);
    await loseConnections(store);
  }

  async function refuseLogins(): Promise<void> {
    const idle = defineConsumer<PgTransaction>({ name: "idle", handle: () => undefined });
    const wrong = connectionWith(`${PASSWORD} misspelt`);
    const broken = connectionWith(() => Promise.reject(new Error("The vault is closed.")));
    for (const [name, connection] of Object.entries({ "wrong password": wrong, "broken password": broken })) {
      await expectFailure(`${name}: append`, () => openStore({ connection }).append([newEvent()]));
      const dispatcher = createNotifyDispatcher({ connection });
      const listening = startWorker(openStore(), dispatcher, [idle]);
      if (connection === broken) {
        await recordEvents(dispatcher.events).next("dispatcher:disconnected");
        await listening.worker.stop();
        await listening.running;
      } else await expectFailure(`${name}: listen`, () => listening.running);
      const { worker, running } = startWorker(openStore({ connection }), createPollDispatcher(), [idle]);
      if (connection === broken) {
        await vi.waitFor(() => expect(spoken(logged.at(-1))).toContain("trying again"), 20_000);
        await worker.stop();
      }
      await expectFailure(`${name}: start`, () => running);
    }
  }

  async function failAppends(store: PgStore): Promise<void> {
    const id = randomUUID();
    const text = PAYLOAD;
    const tooLong = { payload: { text, indexed: randomBytes(20_000).toString("base64") } };
    const unlikely = { payload: { text, cents: -1 } };
    const client = postgres({ ...connectionWith(PASSWORD), max: 1, fetch_types: false });
    await store.append([newEvent({ id })]);
    await expectFailure("id of another append", () => store.append([newEvent({ id })]));
    await expectFailure("no JSON", () => store.append([newEvent({ payload: { text, number: Number.NaN } })]));
    await expectFailure("no text", () => store.append([newEvent({ payload: { text, broken: "\0" } })]));
    await expectFailure("too long", () => store.append([newEvent(tooLong)]));
    await expectFailure("against a rule of the table", () => store.append([newEvent(unlikely)]));
    await expectFailure("too long, in pup's transaction", () =>
      store.transaction((tx) => store.append([newEvent(tooLong)], { tx })),
    );
    await expectFailure("too long, in a caller's transaction", () =>
      client.begin((tx) => store.append([newEvent(tooLong)], { tx })),
    );
    await expectFailure("in a caller's transaction that has failed", () =>
      client.begin(async (tx) => {
        await tx`SELECT 1 / 0`.catch(() => undefined);
        await store.append([newEvent()], { tx });
      }),
    );
    await client.end();
  }

  async function failHandlers(store: PgStore): Promise<void> {
    const consumers = Object.entries(failing).map(([name, handle]) =>
      defineConsumer<PgTransaction>({
        name,
        async handle(event, context) {
          await handle(event, context);
        },
      }),
    );
    const noticed = defineConsumer<PgTransaction>({
      name: "hears notices",
      async handle({ payload }, { tx }) {
        const { text } = payload as { text: string };
        await tx.sql.unsafe(`DO $$ BEGIN RAISE NOTICE 'noticed' USING DETAIL = '${text}'; END $$`);
      },
    });
    const skipping = defineConsumer<PgTransaction>({
      name: "skips what it cannot handle",
      onFailure: "skip",
      handle: (_, { tx }) => tx.sql`INSERT INTO notes (body, length) VALUES (${PAYLOAD}, -1)`,
    });
    const all = [...consumers, noticed, skipping];
    await store.append([newEvent()]);
    const { worker, recorded, running } = startWorker(store, createPollDispatcher(), all);
    await Promise.all([
      ...consumers.map(({ name }) => recorded.first("consumer:failed", ({ consumer }) => consumer === name)),
      recorded.first("batch:committed", ({ consumer }) => consumer === noticed.name),
      recorded.first("dead-letter:added"),
    ]);
    errors["dead letters"] = await store.listDeadLetters();
    errors["consumers that have stopped"] = worker.health();
    await worker.stop();
    await running;
  }

  async function loseConnections(store: PgStore): Promise<void> {
    const hasty = openStore({ statementTimeoutMs: 300, applicationName: "hasty" });
    await admin.begin(async (tx) => {
      await tx`LOCK TABLE aggregate_heads`;
      const waiting = expectFailure("killed append", () => store.append([newEvent()]));
      await expectFailure("append out of time", () => hasty.append([newEvent()]));
      await vi.waitFor(async () => {
        const ended = await tx`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND application_name = 'pup'`;
        expect(ended).toHaveLength(1);
      }, 20_000);
      await waiting;
    });

    const [begun, killed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const consumer = defineConsumer<PgTransaction>({
      name: "is cut off",
      async handle(_, { tx }) {
        await tx.sql`SELECT ${PAYLOAD}::text`;
        begun.resolve();
        await killed.promise;
        await tx.sql`SELECT ${PAYLOAD}::text`;
      },
    });
    const dispatcher = createNotifyDispatcher({ connection: connectionWith(async () => PASSWORD) });
    const { worker, recorded, running } = startWorker(store, dispatcher, [consumer]);
    await begun.promise;
    await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'secretive'`;
    killed.resolve();
    await recorded.first("batch:failed");
    await recorded.first("worker:disconnected");
    await recorded.first("batch:committed");

    const cut = expectFailure("cut off by a restart", () =>
      store.transaction((tx) => tx.sql`SELECT pg_sleep(60), ${PAYLOAD}::text`),
    );
    await server.restart({ mode: "immediate" });
    await cut;
    // Connections that the restart has cut off may still be in the pool.
    const { events } = await vi.waitFor(() => store.append([newEvent()]), 20_000);
    await recorded.first("batch:committed", ({ position }) => position >= events[0]!.globalPosition);
    await worker.stop();
    await running;
  }

  it("went through all that was to go wrong", () => {
    expect(Object.entries(errors).filter(([, error]) => error === "nothing went wrong")).toEqual([]);
    const codes = Object.entries(errors).map(([name, error]) => [name, (error as { code?: unknown }).code]);
    expect(Object.fromEntries(codes)).toMatchObject({
      "wrong password: start": "PUP_LOGIN_REFUSED",
      "id of another append": "PUP_DUPLICATE_EVENT_ID",
      "no JSON": "PUP_PAYLOAD_NOT_SERIALIZABLE",
      "too long": "PUP_PAYLOAD_TOO_LARGE",
      "against a rule of the table": "23514",
      "too long, in a caller's transaction": "PUP_PAYLOAD_TOO_LARGE",
      "killed append": "PUP_CONNECTION_LOST",
      "append out of time": "PUP_STATEMENT_TIMEOUT",
    });
    const failures = told.filter((event) => (event as { name: string }).name === "consumer:failed");
    expect(failures).toHaveLength(Object.keys(failing).length);
    expect(errors["dead letters"]).not.toEqual([]);
    expect(spoken(logged)).toContain("PostgreSQL sent a notice");
  });

  it.each(["password", "payload", "metadata"] as const)("never show: the %s", (what) => {
    const secret = { password: PASSWORD, payload: PAYLOAD, metadata: METADATA }[what];
    const showing = (list: readonly unknown[]) => list.map(spoken).filter((text) => text.includes(secret));

    expect(showing(logged)).toEqual([]);
    expect(showing(told)).toEqual([]);
    expect(showing(Object.entries(errors))).toEqual([]);
  });

  it("would be seen if they were there", async () => {
    const bare: unknown = await admin`SELECT ${PAYLOAD}::text::integer`.catch((error: unknown) => error);

    expect(spoken({ deep: [[[[bare]]]] })).toContain(PAYLOAD);
  });
});
