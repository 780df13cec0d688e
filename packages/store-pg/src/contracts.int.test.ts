import { setTimeout as sleep } from "node:timers/promises";
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
import { describe } from "vitest";
import type { PgStore } from "./create-store.ts";
import type { PgStoreOptions } from "./options.ts";
import type { PgTransaction } from "./session/transaction-facade.ts";
import {
  holdKyselyTransaction,
  holdPostgresTransaction,
  holdPupTransaction,
  openKysely,
} from "./test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "./test-support/open-schema.ts";
import type { PgControlSession } from "./workers/open-control-session.ts";

const openSchema = useSchemas();

/** Kinds of transactions that a caller may bring along. */
const kinds = {
  "pup's own": ({ store }) => holdPupTransaction(store),
  "postgres.js": ({ schema }) => holdPostgresTransaction(schema.sql),
  "Kysely with another driver and a plugin": ({ kysely }) => holdKyselyTransaction(kysely),
} as const satisfies Record<string, (place: Place) => Promise<HeldTransaction<unknown>>>;

interface Place {
  readonly schema: TestSchema;
  readonly store: PgStore;
  readonly kysely: ReturnType<typeof openKysely>;
}

/** Opens a setup whose held transactions are of that kind. To the suites they are all the same. */
const openWith =
  (kind: keyof typeof kinds, options?: Partial<PgStoreOptions>) => async (): Promise<StoreSetup<PgTransaction>> => {
    const schema = await openSchema();
    const store = schema.openStore(options);
    const kysely = openKysely(schema.url);
    const terminate = async (pid: number | undefined) => {
      await schema.sql`select pg_terminate_backend(${pid ?? 0}, 5000)`.catch(
        () => schema.sql`select pg_terminate_backend(${pid ?? 0})`,
      );
    };
    return {
      store,
      other: schema.openStore(options),
      begin: () => kinds[kind]({ schema, store, kysely }) as Promise<HeldTransaction<PgTransaction>>,
      elapse: (durationMs) => sleep(durationMs),
      ...(options?.election === "lease" && { leaseDurationMs: options.leaseDurationMs }),
      async loseTransaction({ sql }) {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await terminate(row?.pid);
      },
      loseSession: (session) => terminate((session as PgControlSession).backendPid),
      async hijack({ sql }) {
        await sql.unsafe("select 1; commit; begin");
      },
      async dispose() {
        await kysely.destroy();
        await schema[Symbol.asyncDispose]();
      },
    };
  };

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])("PostgreSQL, with transactions of %s:", (kind) => {
  describe("event store", () => {
    eventStoreContract(openWith(kind));
  });
});

describe("PostgreSQL event log", () => {
  eventLogContract(openWith("Kysely with another driver and a plugin"));
});

describe("PostgreSQL checkpoint store", () => {
  checkpointStoreContract(openWith("pup's own"));
});

describe("PostgreSQL batch runner", () => {
  batchRunnerContract(openWith("pup's own"));
});

describe("PostgreSQL dead letters", () => {
  deadLettersContract(openWith("pup's own"));
});

describe("PostgreSQL coordination, leaders by a session's lock", () => {
  coordinationContract(openWith("pup's own", { election: "advisory" }));
});

describe("PostgreSQL coordination, leaders by a lease", () => {
  coordinationContract(openWith("pup's own", { election: "lease", leaseDurationMs: 2_000 }));
});
