import { randomUUID } from "node:crypto";
import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { createPgStore } from "../create-store.ts";
import { describeSchema } from "../test-support/describe-schema.ts";
import { migrate } from "./migrate.ts";
import { migrationNames, readMigrations } from "./migration-files.ts";
import { defaultTableNames } from "./tables.ts";

let database: TestDatabase;
let sql: Sql;

beforeEach(async () => {
  database = await createDatabase(inject("postgresUrl"));
  sql = postgres(database.url, { max: 4, fetch_types: false, onnotice: () => undefined });
});
afterEach(async () => {
  await sql.end();
  await database.drop();
});

const allNames = [...migrationNames];

describe("migrate", () => {
  it("makes the schema as it stands in the snapshot", async () => {
    expect(await migrate({ connection: database.url })).toEqual({ applied: allNames });

    await expect(await describeSchema(sql, "public")).toMatchFileSnapshot("schema.snapshot.txt");
  });

  it("makes the same as the files do when a plain client applies them", async () => {
    for (const { text } of await readMigrations()) await sql.unsafe(text);
    const byHand = await describeSchema(sql, "public");
    await migrate({ connection: database.url, schema: "other" });

    expect(await describeSchema(sql, "other")).toBe(byHand);
    expect(await migrate({ connection: database.url })).toEqual({ applied: [] });
  });

  it("does nothing when there is nothing to do", async () => {
    await migrate({ connection: database.url });

    expect(await migrate({ connection: database.url })).toEqual({ applied: [] });
  });

  it("applies only what is missing", async () => {
    const [first] = await readMigrations();
    await sql.unsafe(first?.text ?? "");

    expect(await migrate({ connection: database.url })).toEqual({ applied: allNames.slice(1) });
  });

  it("applies everything once when many processes call it at once", async () => {
    const results = await Promise.all(
      Array.from({ length: 6 }, () => migrate({ connection: database.url, schema: "new one" })),
    );

    expect(results.flatMap(({ applied }) => applied)).toEqual(allNames);
  });

  it.each([
    ["quotes", { schema: 'a "quoted" schema', tables: { events: 'the "events"', workerNodes: "it's" } }],
    ["dots", { schema: "a.b", tables: { events: "public.events", consumerCheckpoints: "c.d.e" } }],
    ["capitals", { schema: "Mine", tables: { events: "Events", pupMigrations: "Migrations" } }],
    ["semicolons", { schema: "x; DROP TABLE y; --", tables: { events: "e; --", leaderLease: "/* lease" } }],
    ["dollars and backslashes", { schema: "$&$1", tables: { events: "a\\b", aggregateHeads: "$$" } }],
    ["63 bytes", { schema: "s".repeat(63), tables: { events: "e".repeat(63), workerNodes: "ż".repeat(31) } }],
    ["words of the language", { schema: "select", tables: { events: "table", aggregateHeads: "order" } }],
  ])("takes names with %s, and a store works with them", async (_, names) => {
    await migrate({ connection: database.url, ...names });
    await migrate({ connection: database.url, ...names });

    const store = createPgStore({ connection: database.url, ...names });
    await store.checkSchema();
    await store.append([{ aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} }]);
    expect(await store.inFlightAppenders()).toMatchObject({ appenders: [] });
    const session = await store.openControlSession();
    await session.register({ workerId: randomUUID(), consumers: [] });
    expect(await session.election.tick()).toEqual({ term: 1 });
    await store.close();

    const tables = await sql`SELECT table_name FROM information_schema.tables WHERE table_schema = ${names.schema}`;
    expect(tables.map(({ table_name }) => table_name).sort()).toEqual(
      Object.values({ ...defaultTableNames, ...names.tables }).sort(),
    );
    expect(await sql`SELECT FROM information_schema.tables WHERE table_schema = 'public'`).toHaveLength(0);
  });

  it("refuses names that PostgreSQL cannot keep, before it connects", async () => {
    const connection = "postgres://nobody@127.0.0.1:1/none";

    await expect(migrate({ connection, schema: "" })).rejects.toMatchObject({ code: "PUP_INVALID_IDENTIFIER" });
    await expect(migrate({ connection, tables: { events: "x".repeat(64) } })).rejects.toMatchObject({
      code: "PUP_INVALID_IDENTIFIER",
    });
  });

  it("keeps apart what stands in two schemas", async () => {
    for (const schema of ["one", "two"]) await migrate({ connection: database.url, schema });
    const stores = ["one", "two"].map((schema) => createPgStore({ connection: database.url, schema }));
    await stores[0]?.append([{ aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} }]);

    expect(await Promise.all(stores.map((store) => store.latestPosition()))).toEqual([1n, 0n]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it("refuses tables that a newer release has made, and leaves them as they are", async () => {
    await migrate({ connection: database.url });
    await sql`INSERT INTO pup_migrations (version, name) VALUES (9999, '9999_from_the_future')`;

    await expect(migrate({ connection: database.url })).rejects.toMatchObject({ code: "PUP_SCHEMA_TOO_NEW" });
    const store = createPgStore({ connection: database.url });
    await expect(store.checkSchema()).rejects.toMatchObject({ code: "PUP_SCHEMA_TOO_NEW" });
    await store.close();
  });

  it("goes on with newer tables that say that this release works with them: old workers run on during a deploy", async () => {
    await migrate({ connection: database.url });
    await sql`INSERT INTO pup_migrations (version, name, compatible_since) VALUES (9999, '9999_one_more_index', 1)`;

    expect(await migrate({ connection: database.url })).toEqual({ applied: [] });
    const store = createPgStore({ connection: database.url });
    await store.checkSchema();
    await store.close();
  });

  it("says which migration failed, and undoes those before it", async () => {
    await sql`CREATE TABLE worker_nodes (worker_id uuid)`;

    await expect(migrate({ connection: database.url })).rejects.toThrow(
      /0002_workers.*nothing was changed.*worker_nodes/,
    );
    expect(await sql`SELECT to_regclass('events') AS events`).toEqual([{ events: null }]);
  });

  it("needs no right to create schemas where the schema is there", async () => {
    const role = `plain_${randomUUID().slice(0, 8)}`;
    await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; CREATE SCHEMA theirs AUTHORIZATION ${role}`);
    const url = new URL(database.url);
    url.username = role;
    url.password = "secret";

    expect(await migrate({ connection: url.href, schema: "theirs" })).toEqual({ applied: allNames });
    await expect(migrate({ connection: url.href, schema: "another" })).rejects.toMatchObject({ code: "42501" });
    await sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it("leaves no connection open", async () => {
    await migrate({ connection: database.url });

    expect(
      await sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pup%'`,
    ).toHaveLength(0);
  });
});

describe("checkSchema", () => {
  it.each<[string, () => Promise<unknown>, string?]>([
    ["there are no tables", async () => undefined],
    ["not all migrations were applied", async () => sql.unsafe((await readMigrations())[0]?.text ?? "")],
    ["the schema is not there", async () => undefined, "elsewhere"],
  ])("says what to do when %s", async (_, prepare, schema = "public") => {
    await prepare();
    const store = createPgStore({ connection: database.url, schema });

    const refused = store.checkSchema();

    await expect(refused).rejects.toMatchObject({ code: "PUP_SCHEMA_MISSING" });
    await expect(refused).rejects.toThrow("migrate({ connection, schema, tables })");
    await store.close();
  });

  it("is right with tables that were migrated", async () => {
    await migrate({ connection: database.url });
    const store = createPgStore({ connection: database.url });

    await store.checkSchema();
    await store.close();
  });
});

describe("A store without tables", () => {
  const event = { aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} };

  it("says what to do, wherever it shows first", async () => {
    const store = createPgStore({ connection: database.url });
    const calls = [
      () => store.append([event]),
      () => store.readStream(event),
      () => store.latestPosition(),
      () => store.scanPositions(0n),
      () => store.readCheckpoints(["orders"]),
    ];

    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "PUP_SCHEMA_MISSING" });
    await store.close();
  });
});

describe("The monitoring queries of the operations guide", () => {
  it("run as they are written", async () => {
    await migrate({ connection: database.url });
    const store = createPgStore({ connection: database.url });
    const { events } = await store.append([
      { aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} },
      { aggregateType: "Order", aggregateId: "1", type: "Paid", payload: {} },
    ]);
    await store.createCheckpoint("orders", events[0]?.globalPosition ?? 0n);
    const session = await store.openControlSession();
    const workerId = randomUUID();
    await session.register({ workerId, consumers: ["orders"] });
    const leadership = await session.election.tick();
    await session.assign(leadership ?? { term: 0 }, { assignments: new Map([["orders", workerId]]), dead: [] });

    const lag = await sql.unsafe(`
      SELECT cp.consumer_name,
             cp.last_position,
             (SELECT MAX(global_position) FROM events) AS latest,
             (SELECT MAX(global_position) FROM events) - cp.last_position AS lag
      FROM consumer_checkpoints cp
      ORDER BY lag DESC`);
    const workers = await sql.unsafe(`
      SELECT worker_id,
             heartbeat_at,
             NOW() - heartbeat_at AS age
      FROM worker_nodes
      ORDER BY heartbeat_at DESC`);
    const distribution = await sql.unsafe(`
      SELECT ca.worker_id, COUNT(*) AS consumer_count
      FROM consumer_assignments ca
      GROUP BY ca.worker_id`);
    const leader = await sql.unsafe(
      "SELECT pid, granted FROM pg_locks WHERE locktype = 'advisory' AND classid = 7370096 AND objsubid = 2",
    );

    expect(lag).toEqual([{ consumer_name: "orders", last_position: "1", latest: "2", lag: "1" }]);
    expect(workers).toMatchObject([{ worker_id: workerId }]);
    expect(distribution).toEqual([{ worker_id: workerId, consumer_count: "1" }]);
    expect(leader).toContainEqual({ pid: session.backendPid, granted: true });
    await store.close();
  });
});
