import type { EventScope } from "@pup/core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { PgStore } from "../create-store.ts";
import { resolveTables } from "../schema/tables.ts";
import { holdPostgresTransaction, holdPupTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { buildPageQuery } from "./page-query.ts";

const openSchema = useSchemas();
let schema: TestSchema;
let store: PgStore;

beforeEach(async () => {
  schema = await openSchema();
  store = schema.openStore();
});
afterEach(() => schema[Symbol.asyncDispose]());

const event = (aggregateId: string, fields: { aggregateType?: string; type?: string } = {}) => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload: {},
  ...fields,
});

describe("A page of a scope", () => {
  let large: TestSchema;
  beforeAll(async () => {
    large = await openSchema();
    await large.sql`
      INSERT INTO events (aggregate_type, aggregate_id, aggregate_version, bucket, event_id, event_type, event_version, payload)
      SELECT
        CASE WHEN i % 1000 = 0 THEN 'Rare' WHEN i % 3 = 0 THEN 'Invoice' ELSE 'Order' END, i::text, 1, 0, md5(i::text)::uuid,
        CASE WHEN i % 999 = 0 THEN 'Refunded' ELSE 'Placed' END, 1, jsonb_build_object('text', repeat('x', 100))
      FROM generate_series(1, 50000) AS i`;
    await large.sql`ANALYZE events`;
    return () => large[Symbol.asyncDispose]();
  });

  const byAggregateType = "events_aggregate_type_global_position_idx";
  const byEventType = "events_event_type_global_position_idx";

  it.each<[string, EventScope, string[]]>([
    ["one aggregate type", { aggregateTypes: ["Rare"] }, [byAggregateType]],
    ["several aggregate types", { aggregateTypes: ["Rare", "None", "Never"] }, [byAggregateType]],
    ["one event type", { eventTypes: ["Refunded"] }, [byEventType]],
    [
      "event types of aggregate types",
      { eventTypes: ["Refunded", "Lost"], aggregateTypes: ["Order", "Rare", "Invoice"] },
      [byEventType],
    ],
    ["a rare type and a common one", { aggregateTypes: ["Rare", "Order"] }, [byAggregateType]],
    ["everything", {}, []],
  ])("is read along an index, and no further than its limit: %s", async (_, scope, indexes) => {
    const { text, valuesFor } = buildPageQuery(resolveTables({ schema: large.schema }), scope);

    for (const [mode, limit] of [
      ["force_custom_plan", 100],
      ["force_custom_plan", 1_000],
      ["force_generic_plan", 1_000],
    ] as const) {
      const values = valuesFor({ after: 0n, upTo: 50_000n, limit, maxBytes: 8_000_000 });
      const plan = await large.sql.begin(async (tx) => {
        await tx.unsafe(`SET LOCAL plan_cache_mode = ${mode}`);
        await tx.unsafe(`PREPARE page AS ${text}`);
        const list = values.map((value) => (typeof value === "string" ? `'${value}'` : value)).join(", ");
        const [row] = await tx.unsafe(`EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE page (${list})`);
        await tx.unsafe("DEALLOCATE page");
        return nodesOf(row?.["QUERY PLAN"][0].Plan);
      });

      const scans = plan.filter((node) => node["Relation Name"] === "events");
      // By the primary key come only the events that were found.
      for (const scan of scans) expect(["events_pkey", ...indexes]).toContain(scan["Index Name"]);
      for (const scan of scans) expect(scan["Actual Rows"]).toBeLessThanOrEqual(limit);
      for (const scan of scans) expect(scan["Rows Removed by Filter"] ?? 0).toBe(0);
    }
  });

  it("is empty for a scope of no types", async () => {
    await store.append([event("a")]);
    const page = { after: 0n, upTo: 1n, limit: 100, maxBytes: 8_000_000 };

    for (const scope of [{ aggregateTypes: [] }, { eventTypes: [], aggregateTypes: ["Order"] }]) {
      expect(await store.readLog({ ...page, scope })).toMatchObject({ positions: [], through: 1n });
    }
  });

  it("is counted by the bytes that are stored, and not unpacked to be counted", async () => {
    const text = "compresses well ".repeat(100_000);
    for (let index = 0; index < 5; index++) {
      await store.append([{ ...event("a"), payload: { text, index } }]);
    }

    const page = await store.readLog({ after: 0n, upTo: 5n, limit: 100, maxBytes: text.length });

    // Stored, they are a hundredth of that each.
    expect(page.positions).toHaveLength(5);
  });
});

describe("scanPositions", () => {
  it("looks at a bounded stretch, so that a look costs the same however long the log", async () => {
    await schema.sql`
      INSERT INTO events (aggregate_type, aggregate_id, aggregate_version, bucket, event_id, event_type, event_version, payload)
      SELECT 'Order', i::text, 1, 0, md5(i::text)::uuid, 'Placed', 1, '{}' FROM generate_series(1, 10500) AS i`;

    expect(await store.scanPositions(0n)).toMatchObject({ contiguous: 10_000n, hole: false, highest: 10_500n });
    expect(await store.scanPositions(10_000n)).toMatchObject({ contiguous: 10_500n, hole: false, highest: 10_500n });
  });

  it("counts in positions that no number could hold", async () => {
    const start = 2n ** 62n;
    await schema.sql.unsafe(`ALTER TABLE events ALTER global_position RESTART WITH ${start + 1n}`);
    await store.append([event("a"), event("a")]);

    expect(await store.scanPositions(start)).toMatchObject({
      contiguous: start + 2n,
      hole: false,
      highest: start + 2n,
    });
    expect(await store.missingPositions(start - 5n, start + 3n)).toEqual([
      { first: start - 4n, last: start },
      { first: start + 3n, last: start + 3n },
    ]);
  });
});

describe("inFlightAppenders", () => {
  it("names session and application of who is in flight", async () => {
    const named = schema.openStore({ applicationName: "checkout" });
    const held = await holdPupTransaction(named);
    await named.append([event("a")], { tx: held.tx });
    const [backend] = await held.tx.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;

    const { appenders } = await store.inFlightAppenders();
    await held.rollback();

    expect(appenders).toMatchObject([{ pid: backend?.pid, applicationName: "pup checkout", prepared: false }]);
  });

  it("sees who writes past pup: rows put in, changed and removed by hand", async () => {
    await store.append([event("a")]);
    for (const statement of [
      "INSERT INTO events (aggregate_type, aggregate_id, aggregate_version, bucket, event_id, event_type, event_version, payload) " +
        "VALUES ('Order', 'by hand', 1, 0, md5('x')::uuid, 'Placed', 1, '{}')",
      "UPDATE events SET payload = '{}'",
      "DELETE FROM events",
    ]) {
      const held = await holdPostgresTransaction(schema.sql);
      await held.tx.unsafe(statement);
      const { appenders } = await store.inFlightAppenders();
      await held.rollback();
      expect(appenders).toHaveLength(1);
    }
  });

  it("leaves out who writes to other tables, and to another schema's log", async () => {
    const elsewhere = await openSchema();
    const held = await holdPostgresTransaction(elsewhere.sql);
    await elsewhere.openStore().append([event("a")], { tx: held.tx });
    const other = await holdPostgresTransaction(schema.sql);
    await other.tx`CREATE TABLE unrelated AS SELECT 1`;

    const { appenders } = await store.inFlightAppenders();
    await held.rollback();
    await other.rollback();
    await elsewhere[Symbol.asyncDispose]();

    expect(appenders).toEqual([]);
  });

  it("gives a role without special rights the same answer", async () => {
    const role = `reader_${schema.schema.replaceAll(" ", "_")}`;
    await schema.sql.unsafe(`
      CREATE ROLE ${role} LOGIN PASSWORD 'secret';
      GRANT USAGE ON SCHEMA "${schema.schema}" TO ${role};
      GRANT SELECT ON ALL TABLES IN SCHEMA "${schema.schema}" TO ${role}`);
    const url = new URL(schema.url);
    url.username = role;
    url.password = "secret";
    const held = await holdPostgresTransaction(schema.sql);
    await store.append([event("a")], { tx: held.tx });

    const reader = schema.openStore({ connection: url.href });
    const answer = await reader.inFlightAppenders();
    await held.rollback();
    await reader.close();
    await schema.sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);

    expect(answer.appenders).toMatchObject([{ id: expect.any(String), prepared: false, applicationName: "test" }]);
    expect(answer.appenders[0]?.ageMs).toBeNull();
  });

  it("sees who writes to a partition, and counts nobody twice", async () => {
    await schema.sql.unsafe(`
      ALTER TABLE events RENAME TO plain_events;
      CREATE SEQUENCE positions;
      CREATE TABLE events (LIKE plain_events INCLUDING DEFAULTS) PARTITION BY RANGE (global_position);
      ALTER TABLE events ALTER global_position SET DEFAULT nextval('positions');
      CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (1000) PARTITION BY RANGE (global_position);
      CREATE TABLE events_1_1 PARTITION OF events_1 FOR VALUES FROM (1) TO (1000)`);
    const byStore = await holdPostgresTransaction(schema.sql);
    await store.append([event("a")], { tx: byStore.tx });
    const direct = await holdPostgresTransaction(schema.sql);
    await direct.tx`UPDATE events_1_1 SET payload = '{}'`;

    const { appenders } = await store.inFlightAppenders();
    await byStore.commit();
    await direct.rollback();

    expect(appenders).toHaveLength(2);
    expect(await store.latestPosition()).toBe(1n);
  });
});

describe("firstPositionSince", () => {
  it("compares to the microsecond's millisecond, whatever time zone the session has", async () => {
    const { events } = await store.append([event("a")]);
    const recordedAt = events[0]?.createdAt ?? new Date(0);

    expect(await store.firstPositionSince(recordedAt)).toBe(1n);
    expect(await store.firstPositionSince(new Date(recordedAt.getTime() + 1))).toBeNull();
    await expect(store.firstPositionSince(new Date(Number.NaN))).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
  });
});

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
