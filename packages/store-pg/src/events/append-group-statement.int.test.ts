import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveTables } from "../schema/tables.ts";
import { holdPostgresTransaction } from "../test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";
import { appendGroupText } from "./append-group-statement.ts";
import { newEventId } from "./new-event-id.ts";

const openSchema = useSchemas({ reuse: true });
let schema: TestSchema;
let client: Sql;
let text: string;

beforeEach(async () => {
  schema = await openSchema();
  client = openClient();
  text = appendGroupText(resolveTables({ schema: schema.schema }));
});
afterEach(async () => {
  await client.end();
  await schema[Symbol.asyncDispose]();
});

/** A client whose statements all run in one session. */
function openClient(settings: Record<string, string> = {}): Sql {
  return postgres(schema.url, { max: 1, fetch_types: false, connection: { application_name: "group", ...settings } });
}

type Part = { id: string; expected?: number; count?: number };

/** Runs the statement. Resolves with aggregate versions by aggregate, in the order of positions. */
async function append(sql: Sql, parts: readonly Part[]): Promise<[string, number][]> {
  const idsOfEvents = new Map<string, string>();
  const steps: Record<string, Record<number, number>> = {};
  const json = parts.map(({ id, expected, count = 1 }) => {
    if (expected !== undefined) steps[id] = { [expected]: count };
    const events = Array.from({ length: count }, () => {
      const event = { id: newEventId(), type: "OrderPlaced", version: 1, payload: null };
      idsOfEvents.set(event.id, id);
      return event;
    });
    return { type: "Order", id, bucket: 1, count, initial: (expected ?? 0) > 0 ? 0 : count, events };
  });
  const rows = await sql.unsafe(text, [JSON.stringify(json), JSON.stringify({ Order: steps })]);
  return rows
    .toSorted((a, b) => Number(BigInt(a.position) - BigInt(b.position)))
    .map((row) => [idsOfEvents.get(row.id) ?? "", row.version]);
}

const lockTimeoutOf = async (sql: Sql) => (await sql`SHOW lock_timeout`)[0]?.lock_timeout;

describe("The statement of a group", () => {
  it("appends to each aggregate by its own rule, in the order given, and leaves out those whose rule does not hold", async () => {
    await append(client, [{ id: "grown", count: 3 }, { id: "taken" }]);

    const places = await append(client, [
      { id: "z", expected: 0, count: 2 },
      { id: "grown", expected: 3, count: 2 },
      { id: "taken", expected: 0 },
      { id: "grown elsewhere", expected: 4 },
      { id: "a" },
      { id: "taken elsewhere", expected: 0 },
    ]);

    expect(places).toEqual([
      ["z", 1],
      ["z", 2],
      ["grown", 4],
      ["grown", 5],
      ["a", 1],
      ["taken elsewhere", 1],
    ]);
  });

  it("draws no position for what it leaves out, and none before it has every head", async () => {
    await append(client, [{ id: "locked" }, { id: "z" }]);
    const held = await holdPostgresTransaction(schema.sql);
    await held.tx`SELECT FROM aggregate_heads WHERE aggregate_id = 'locked' FOR UPDATE`;

    await append(client, [{ id: "z", expected: 7 }]);
    await expect(append(client, [{ id: "a" }, { id: "locked" }, { id: "z" }])).rejects.toMatchObject({ code: "55P03" });
    await held.rollback();

    expect(await schema.sql`SELECT last_value::int FROM events_global_position_seq`).toEqual([{ last_value: 2 }]);
  });

  it.each([
    ["a head", async (sql: Sql) => sql`SELECT FROM aggregate_heads WHERE aggregate_id = 'a' FOR UPDATE`],
    ["a head that is not committed", async (sql: Sql) => sql`INSERT INTO aggregate_heads VALUES ('Order', 'new', 1)`],
  ])("does not wait long for %s that somebody has locked, and leaves no time-out behind", async (_, lock) => {
    await append(client, [{ id: "a" }]);
    const held = await holdPostgresTransaction(schema.sql);
    await lock(held.tx as unknown as Sql);

    await expect(append(client, [{ id: "a" }, { id: "new" }])).rejects.toMatchObject({ code: "55P03" });

    expect(await lockTimeoutOf(client)).toBe("0");
    await held.rollback();
  });

  it("leaves the session's own time-out for locks as it was", async () => {
    const own = openClient({ lock_timeout: "7s" });

    await append(own, [{ id: "a" }]);

    expect(await lockTimeoutOf(own)).toBe("7s");
    await own.end();
  });

  it("never waits for another group in a circle", async () => {
    // Soon enough for a deadlock to be found before the time for locks is over.
    const clients = [openClient({ deadlock_timeout: "1ms" }), openClient({ deadlock_timeout: "1ms" })];
    const parts = Array.from({ length: 100 }, (_, n): Part => ({ id: `${n}` }));
    const orders = [parts, parts.toReversed()];
    const codes = new Set<unknown>();

    for (let round = 0; round < 30; round++) {
      const outcomes = await Promise.allSettled(
        clients.map((one, index) => append(one, orders[(index + round) % 2] as Part[])),
      );
      for (const outcome of outcomes) if (outcome.status === "rejected") codes.add(outcome.reason.code);
    }

    // On a machine that is busy elsewhere, it may take the other one more than its time.
    expect([...codes].filter((code) => code !== "55P03")).toEqual([]);
    await Promise.all(clients.map((one) => one.end()));
  });
});
