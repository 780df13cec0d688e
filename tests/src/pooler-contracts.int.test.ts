import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlSession } from "@pup/core";
import { createPgStore, type PgStore, type PgStoreOptions, type PgTransaction } from "@pup/store-pg";
import {
  batchRunnerContract,
  checkpointStoreContract,
  coordinationContract,
  deadLettersContract,
  eventLogContract,
  eventStoreContract,
  type HeldTransaction,
  type StoreSetup,
} from "@pup/testing/contracts";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { holdKyselyTransaction, holdPostgresTransaction, holdPupTransaction } from "./support/hold-transaction.ts";
import { openParts, type Parts } from "./support/open-parts.ts";
import { findPgBouncer, type PgBouncer, startPgBouncer } from "./support/start-pgbouncer.ts";

const program = findPgBouncer();
const unless = program === undefined ? " (skipped: pgbouncer is not installed)" : "";

let parts: Parts;
let pooler: PgBouncer;
beforeAll(async () => {
  if (program === undefined) return;
  parts = await openParts(inject("postgresUrl"));
  pooler = await startPgBouncer(program, parts.url);
});
afterAll(async () => {
  await pooler?.[Symbol.asyncDispose]();
  await parts?.[Symbol.asyncDispose]();
});

/** Kinds of transactions that a caller may bring along, each through the pooler. */
const kinds = {
  "pup's own": (store: PgStore) => ({ begin: () => holdPupTransaction(store), end: async () => undefined }),
  "postgres.js": () => {
    const client = postgres(pooler.url, { max: 10, prepare: false, fetch_types: false, onnotice: () => undefined });
    return { begin: () => holdPostgresTransaction(client), end: () => client.end() };
  },
  "Kysely with another driver": () => {
    const pool = new pg.Pool({ connectionString: pooler.url, max: 10 });
    const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    return { begin: () => holdKyselyTransaction(db), end: () => db.destroy() };
  },
} satisfies Record<string, (store: PgStore) => Callers>;

interface Callers {
  begin(): Promise<HeldTransaction<unknown>>;
  end(): Promise<void>;
}

/** A store behind the pooler, and the way to cut the line of one of its control sessions: no backend is the session's own. */
function openStore(options: Partial<PgStoreOptions>) {
  const opened = new Set<Socket>();
  const { hostname, port } = new URL(pooler.url);
  const socket = () => {
    const made = connect({ host: hostname, port: Number(port), noDelay: true });
    opened.add(made);
    return new Promise<Socket>((resolve, reject) => made.once("connect", () => resolve(made)).once("error", reject));
  };
  const store = createPgStore({ connection: { url: pooler.url, socket }, prepare: false, ...options });
  const lines = new WeakMap<ControlSession, readonly Socket[]>();
  const openControlSession: PgStore["openControlSession"] = async (request) => {
    opened.clear();
    const session = await store.openControlSession(request);
    lines.set(session, [...opened]);
    return session;
  };
  const cut = (session: ControlSession) => {
    for (const line of lines.get(session) ?? []) line.destroy();
  };
  return { store: { ...store, openControlSession }, cut };
}

/** Opens a setup whose held transactions are of that kind. To the suites they are all the same. */
const openWith =
  (kind: keyof typeof kinds, options: Partial<PgStoreOptions> = {}) =>
  async (): Promise<StoreSetup<PgTransaction>> => {
    await parts.sql`
      truncate events, aggregate_heads, consumer_checkpoints, worker_nodes, consumer_assignments, leader_lease,
        consumer_dead_letters restart identity`;
    const { store, cut } = openStore(options);
    const other = openStore(options);
    const callers: Callers = kinds[kind](store);
    return {
      store,
      other: other.store,
      begin: callers.begin as () => Promise<HeldTransaction<PgTransaction>>,
      elapse: (durationMs) => sleep(durationMs),
      ...(options.leaseDurationMs !== undefined && { leaseDurationMs: options.leaseDurationMs }),
      async loseTransaction({ sql }) {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await parts.sql`select pg_terminate_backend(${row?.pid ?? 0})`;
      },
      async loseSession(session) {
        cut(session);
        other.cut(session);
      },
      async hijack({ sql }) {
        await sql.unsafe("select 1; commit; begin");
      },
      async dispose() {
        await callers.end();
        await Promise.all([store.close(), other.store.close()]);
      },
    };
  };

describe.skipIf(program === undefined)(`Behind PgBouncer in transaction mode${unless}, PostgreSQL`, () => {
  describe("event store, with transactions of Kysely", () => {
    eventStoreContract(openWith("Kysely with another driver"));
  });

  describe("event log, with transactions of postgres.js", () => {
    eventLogContract(openWith("postgres.js"));
  });

  describe("checkpoint store", () => {
    checkpointStoreContract(openWith("pup's own"));
  });

  describe("batch runner", () => {
    batchRunnerContract(openWith("pup's own"));
  });

  describe("dead letters", () => {
    deadLettersContract(openWith("pup's own"));
  });

  describe("coordination", () => {
    coordinationContract(openWith("pup's own", { leaseDurationMs: 2_000 }));
  });
});
