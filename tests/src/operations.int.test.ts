// docs/operations.md: its queries are run as they stand there, in the state that they are for; its numbers are counted.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Consumer } from "@pup/core";
import { assignConsumers, defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import type { Row } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { holdPostgresTransaction } from "./support/hold-transaction.ts";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { createTrail, trailConsumer } from "./support/trail.ts";

const guide = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
const queries = new Map(
  [...guide.matchAll(/<!-- query: (.+) -->\s*```sql\n([\s\S]*?)```/g)].map(([, name = "", text = ""]) => [name, text]),
);
const asked = new Set<string>();

/** Asks what the guide asks under this name. */
async function ask({ sql }: Pick<Parts, "sql">, name: string): Promise<Row[]> {
  asked.add(name);
  return [...(await sql.unsafe(queries.get(name) ?? `the guide has no query "${name}"`))];
}

/** Waits until the answer is this. */
async function becomes(parts: Parts, name: string, answer: unknown): Promise<void> {
  await vi.waitFor(async () => expect(await ask(parts, name)).toEqual(answer), { timeout: 20_000, interval: 50 });
}

const patience = { timeout: 20_000, interval: 50 };
const some = expect.anything();
const placed = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "Placed", payload: {} });

describe("The queries of the guide", () => {
  let parts: Parts;
  const append = (id: string) => parts.store.append([placed(id)]);

  beforeAll(async () => {
    parts = await openParts(inject("postgresUrl"));
    await createTrail(parts.sql);
  });

  afterAll(async () => {
    await parts[Symbol.asyncDispose]();
    // Here, and not in a test: which has to be the last one.
    expect([...queries.keys()].filter((name) => !asked.has(name))).toEqual([]);
  });

  it("find nothing in a database where nothing has happened", async () => {
    for (const name of queries.keys()) {
      if (["connections", "lag of the fleet"].includes(name)) continue;
      expect([name, await ask(parts, name)]).toEqual([name, []]);
    }
    expect(await ask(parts, "lag of the fleet")).toEqual([{ lag: "0" }]);
  });

  it("show workers, their shares, and the leader with its lock", async () => {
    const consumers = ["a", "b", "c"].map((name) => trailConsumer(name));
    const members = [1, 2, 3, 4].map(() => parts.start({ consumers }));
    const ids = members.map(({ worker }) => worker.id);
    const shares = (counts: readonly number[]) =>
      counts.map((count) => ({ worker_id: some, assigned: `${count}`, owned: `${count}` }));
    await becomes(parts, "distribution", shares([1, 1, 1, 0]));

    const workers = await ask(parts, "workers");
    expect(workers.map(({ worker_id }) => worker_id).sort()).toEqual([...ids].sort());
    for (const worker of workers) expect(worker).toMatchObject({ dead: false, could_run: 3 });
    const leaderId = members.find(({ worker }) => worker.health().leads)?.worker.id;
    expect(await ask(parts, "leader")).toEqual([
      { owner_id: leaderId, term: some, expires_at: null, is_registered: true },
    ]);
    expect(await ask(parts, "leader lock")).toMatchObject([
      { pid: some, application_name: expect.stringMatching(/^pup/) },
    ]);
    expect(await ask(parts, "not claimed")).toEqual([]);

    for (const { worker } of members) await worker.stop();
    expect(await ask(parts, "workers")).toEqual([]);
    expect(await ask(parts, "leader lock")).toEqual([]);
    expect(await ask(parts, "leader")).toMatchObject([{ owner_id: null }]);
  });

  it("show who lags, by how many positions and seconds, while no worker is there", async () => {
    const member = parts.start({ consumers: [trailConsumer("a")] });
    await append("o-1");
    await reached(member, parts.store, ["a"], 1n);
    await member.worker.stop();
    await append("o-2");
    await append("o-3");

    const lags = await ask(parts, "lag");
    expect(lags.find(({ consumer_name }) => consumer_name === "a")).toMatchObject({
      last_position: "1",
      lag: "2",
      owner_id: null,
    });
    const [oldest] = await ask(parts, "lag in seconds");
    expect(oldest?.lag_seconds).toBeGreaterThan(0);
    expect(oldest?.lag_seconds).toBeLessThan(60);
    const furthest = Math.max(...lags.map(({ lag }) => Number(lag)));
    expect(await ask(parts, "lag of the fleet")).toEqual([{ lag: String(furthest) }]);
    const missing = await ask(parts, "not claimed");
    expect(new Set(missing.map(({ why }) => why))).toEqual(new Set(["no worker is there"]));
  });

  it("show a consumer that has stopped, the event that it cannot handle, and those without code", async () => {
    const failing: Consumer<PgTransaction> = defineConsumer<PgTransaction>({
      name: "a",
      maxConsecutiveFailures: 1,
      handle: () => Promise.reject(new Error("Cannot.")),
    });
    const { worker, recorded } = parts.start({ consumers: [failing] });
    await recorded.first("consumer:failed");
    await vi.waitFor(() => expect(worker.health().problems).toHaveLength(1), patience);

    const why = Object.fromEntries((await ask(parts, "not claimed")).map((row) => [row.consumer_name, row.why]));
    expect(why).toEqual({
      a: "not taken over, or stopped after failures",
      b: "no worker has its code",
      c: "no worker has its code",
    });
    const next = await ask(parts, "next event");
    expect(next.find(({ consumer_name }) => consumer_name === "a")).toEqual({
      consumer_name: "a",
      global_position: "2",
      event_type: "Placed",
      aggregate_type: "Order",
      aggregate_id: "o-2",
    });
    await worker.stop();
  });

  it("count dead letters, and the aggregates that are parked", async () => {
    const parking = defineConsumer<PgTransaction>({
      name: "parking",
      onFailure: "park",
      maxConsecutiveFailures: 1,
      handle: ({ aggregateId }) => (aggregateId === "o-2" ? Promise.reject(new Error("Cannot.")) : Promise.resolve()),
    });
    await append("o-2");
    const member = parts.start({ consumers: [parking] });
    await reached(member, parts.store, ["parking"], 4n);
    expect(await ask(parts, "dead letters")).toEqual([
      { consumer_name: "parking", letters: "2", parked: "2", parked_aggregates: "1", since: some, an_error: "Cannot." },
    ]);
    await member.worker.stop();
  });

  it("name the session whose open transaction holds appends up, and its end lets them go on", async () => {
    const member = parts.start({ consumers: [trailConsumer("held up")], unhealthyAfterMs: 200 });
    const before = await parts.store.latestPosition();
    await reached(member, parts.store, ["held up"], before);
    const { tx } = await holdPostgresTransaction(parts.sql);
    const [session] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await parts.store.append([placed("forgotten")], { tx });
    await append("behind");
    await vi.waitFor(
      () => expect(member.worker.health().problems).toContainEqual(expect.stringContaining("stays open")),
      patience,
    );

    expect(await ask(parts, "open appends")).toMatchObject([{ pid: session?.pid, state: "idle in transaction" }]);
    await parts.sql`select pg_terminate_backend(${session?.pid ?? 0}::int)`;
    await reached(member, parts.store, ["held up"], before + 2n);
    await vi.waitFor(async () => expect(await ask(parts, "open appends")).toEqual([]), patience);
    await vi.waitFor(() => expect(member.worker.health()).toMatchObject({ ready: true }), patience);
    await member.worker.stop();
  });

  it("name a prepared transaction that holds appends up", async () => {
    const held = await holdPostgresTransaction(parts.sql);
    await parts.store.append([placed("prepared")], { tx: held.tx, wake: false });
    await held.tx`prepare transaction 'forgotten'`;
    await held.commit().catch(() => undefined);

    expect(await ask(parts, "prepared transactions")).toMatchObject([{ gid: "forgotten" }]);
    expect(await ask(parts, "open appends")).toEqual([]);
    await parts.sql`rollback prepared 'forgotten'`;
    expect(await ask(parts, "prepared transactions")).toEqual([]);
  });

  it("show a batch that waits, and who it waits for", async () => {
    const blocker = await holdPostgresTransaction(parts.sql);
    const [session] = await blocker.tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await blocker.tx`lock table trail`;
    const member = parts.start({ consumers: [trailConsumer("waits")] });
    await vi.waitFor(
      async () =>
        expect(await ask(parts, "slow batches")).toMatchObject([
          { wait_event_type: "Lock", blocked_by: `{${session?.pid}}`, statement: expect.stringContaining("trail") },
        ]),
      patience,
    );
    await blocker.rollback();
    await reached(member, parts.store, ["waits"], await parts.store.latestPosition());
    await member.worker.stop();
  });

  it("tell a worker that is silent, and consumers that its death has left behind", async () => {
    const dead = "00000000-0000-4000-8000-000000000000";
    // What a fleet leaves that is killed as a whole: nobody is there to strike it off.
    await parts.sql`insert into worker_nodes (worker_id, heartbeat_at, consumers, protocol)
      values (${dead}, now() - interval '1 minute', '{a,b,c}', 1)`;
    await parts.sql`update consumer_checkpoints set owner_id = ${dead} where consumer_name in ('a', 'b')`;
    await parts.sql`insert into consumer_assignments (consumer_name, worker_id, term)
      values ('a', ${dead}, 1), ('b', '11111111-1111-4111-8111-111111111111', 1)`;

    expect(await ask(parts, "workers")).toMatchObject([{ worker_id: dead, dead: true, could_run: 3 }]);
    expect(await ask(parts, "distribution")).toEqual([{ worker_id: dead, assigned: "1", owned: "1" }]);
    const why = Object.fromEntries((await ask(parts, "not claimed")).map((row) => [row.consumer_name, row.why]));
    expect(why).toMatchObject({ b: "the former owner has not let go", c: "not dealt out" });
    expect(why).not.toHaveProperty("a");
  });

  it("show who has the connections", async () => {
    const connections = await ask(parts, "connections");
    expect(connections.map(({ application_name }) => application_name)).toContain("pup");
    for (const row of connections) expect(row.max_connections).toBeGreaterThanOrEqual(Number(row.connections));
  });
});

describe("A busy worker", () => {
  const POOL = 6;

  it.each([
    ["poll", POOL + 1],
    ["notify", POOL + 2],
  ] as const)("that is woken by %s has %i connections with a pool of 6, and no more", async (kind, promised) => {
    await using parts = await openParts(inject("postgresUrl"));
    const { url, sql } = parts;
    await createTrail(sql);
    const store = createPgStore({ connection: url, max: POOL, applicationName: "busy", notify: {} });
    const dispatcher = kind === "poll" ? createPollDispatcher() : createNotifyDispatcher({ connection: url });
    const consumers = Array.from({ length: 12 }, (_, index) => trailConsumer(`consumer-${index}`));
    const idle = await sessions(sql);
    const member = parts.start({ store, dispatcher, consumers });
    const names = consumers.map(({ name }) => name);
    // Finding out at the start whether there is a pooler takes one more, for a moment.
    await Promise.all(
      names.map((name) => member.recorded.first("consumer:acquired", ({ consumer }) => consumer === name)),
    );

    const counts: number[] = [];
    let goesOn = true;
    const counting = (async () => {
      while (goesOn) counts.push((await sessions(sql)) - idle);
    })();
    for (let round = 0; round < 5; round++) {
      // The application uses the same store: for transactions, appends and reads, more at once than there are connections.
      const work = Array.from({ length: 2 * POOL }, (_, index) => [
        store.transaction((tx) => tx.sql`select pg_sleep(0.02)`),
        store.append([placed(`${round}-${index}`)]),
        store.latestPosition(),
      ]);
      await Promise.all(work.flat());
    }
    await reached(member, store, names, await store.latestPosition());
    goesOn = false;
    await counting;

    // Once all stand, they stay: the last is the most.
    expect(Math.max(...counts)).toBe(promised);
    expect(counts.at(-1)).toBe(promised);
    await member.worker.stop();
    await store.close();
  });

  /** Sessions in this database. */
  async function sessions(sql: Parts["sql"]): Promise<number> {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend'`;
    return row?.count ?? 0;
  }
});

describe("The table of how consumers are distributed", () => {
  const consumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];
  const rows = [...guide.matchAll(/^\| (\d) \| ([\d +]+) \|$/gm)].map(([, workers, shares]) => ({
    workers: Number(workers),
    shares: (shares ?? "").split(" + ").map(Number),
  }));

  it("says for 1 to 7 workers what the leader does", () => {
    expect(rows.map(({ workers }) => workers)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    for (const { workers, shares } of rows) {
      const ids = Array.from({ length: workers }, (_, index) => `worker-${index}`);
      const dealt = [...assignConsumers(ids.map((workerId) => ({ workerId, consumers }))).values()];
      const counts = ids.map((id) => dealt.filter((owner) => owner === id).length);
      expect(counts).toEqual(shares);
    }
  });
});
