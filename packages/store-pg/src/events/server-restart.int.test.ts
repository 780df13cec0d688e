import { setTimeout as sleep } from "node:timers/promises";
import { eventLogContract, type HeldTransaction } from "@pup/testing/contracts";
import { createDatabase, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createPgStore, type PgStore } from "../create-store.ts";
import { migrate } from "../schema/migrate.ts";
import type { PgTransaction } from "../session/transaction-facade.ts";
import { holdKyselyTransaction, openKysely } from "../test-support/hold-transaction.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ source: "binaries", settings: { max_prepared_transactions: 20 } });
});
afterAll(() => server.close());

/** A store on a database of its own, on a server that may be restarted. */
async function open() {
  const database = await createDatabase(server.url);
  const { url } = database;
  await migrate({ connection: url });
  const stores: PgStore[] = [createPgStore({ connection: url }), createPgStore({ connection: url })];
  let kysely = openKysely(url);
  const [store, other] = stores as [PgStore, PgStore];
  return {
    url,
    store,
    other,
    begin: () => holdKyselyTransaction(kysely) as unknown as Promise<HeldTransaction<PgTransaction>>,
    elapse: (durationMs: number) => sleep(durationMs),
    loseTransaction: async () => undefined,
    loseSession: async () => undefined,
    async restart() {
      await kysely.destroy();
      await server.restart({ mode: "immediate" });
      kysely = openKysely(url);
      await vi.waitFor(() => store.latestPosition(), { timeout: 10_000 });
    },
    async dispose() {
      await Promise.all([...stores.map((each) => each.close()), kysely.destroy()]);
      await database.drop();
    },
  };
}

describe("PostgreSQL event log on a server that is restarted", () => {
  eventLogContract(open);
});

describe("A prepared append", () => {
  it("is known by the same id after a crash", async () => {
    const setup = await open();
    const sql = postgres(setup.url, { max: 1, onnotice: () => undefined });
    await sql.begin(async (tx) => {
      await setup.store.append([{ aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} }], { tx });
      await tx.prepare("forgotten");
    });
    await sql.end();
    const before = await setup.store.inFlightAppenders();

    await setup.restart();

    const after = await setup.store.inFlightAppenders();
    expect(before.appenders).toMatchObject([{ prepared: true, pid: null, applicationName: "forgotten" }]);
    expect(after.appenders).toMatchObject([{ id: before.appenders[0]?.id, prepared: true }]);
    expect(after.serverRun).not.toBe(before.serverRun);

    const admin = postgres(setup.url, { max: 1 });
    await admin`COMMIT PREPARED 'forgotten'`;
    await admin.end();
    expect(await setup.store.latestPosition()).toBe(1n);
    await setup.dispose();
  });
});
