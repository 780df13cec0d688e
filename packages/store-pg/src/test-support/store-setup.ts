import { setTimeout as sleep } from "node:timers/promises";
import type { HeldTransaction, StoreSetup } from "@pup/testing/contracts";
import type { PgStore } from "../create-store.ts";
import type { PgStoreOptions } from "../options.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";
import type { PgControlSession } from "../workers/open-control-session.ts";
import { holdKyselyTransaction, holdPostgresTransaction, holdPupTransaction, openKysely } from "./hold-transaction.ts";
import { type TestSchema, useSchemas } from "./open-schema.ts";

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

/** A kind of transactions that a caller may bring along. */
export type TransactionKind = keyof typeof kinds;

/** Makes what opens stores for the suites of a test file. Held transactions are of the kind asked for; to the suites they are all the same. */
export function useStoreSetups() {
  const openSchema = useSchemas({ reuse: true });
  return (kind: TransactionKind, options?: Partial<PgStoreOptions>) => async (): Promise<StoreSetup<PgTransaction>> => {
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
}
