import pg from "pg";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { holdPostgresTransaction, holdPupTransaction } from "./test-support/hold-transaction.ts";
import { type TestSchema, useSchemas } from "./test-support/open-schema.ts";
import { workerA } from "./test-support/workers.ts";

const openSchema = useSchemas();
let schema: TestSchema;

beforeEach(async () => {
  schema = await openSchema();
});
afterEach(() => schema[Symbol.asyncDispose]());

const event = { aggregateType: "Order", aggregateId: "order-1", type: "OrderPlaced", payload: {} };
// What a folding of case, a missing quote or a cut name would lose.
const channel = 'My "Channel"; x';

/** Hears what is told on a channel. `fence` resolves when everything told before has arrived. */
async function listen(name = channel) {
  const client = new pg.Client({ connectionString: schema.url });
  await client.connect();
  onTestFinished(() => client.end());
  const heard: string[] = [];
  client.on("notification", ({ payload = "" }) => heard.push(payload));
  await client.query(`LISTEN ${client.escapeIdentifier(name)}`);
  return {
    client,
    heard,
    async fence() {
      await client.query("SELECT pg_notify($1, 'fence')", [name]);
      await vi.waitFor(() => expect(heard).toContain("fence"));
      return heard.splice(0).filter((payload) => payload !== "fence");
    },
  };
}

describe("A store that notifies", () => {
  it("tells of an append after its commit, on a channel of any name", async () => {
    const store = schema.openStore({ notify: { channel } });
    const listener = await listen();

    await store.append([event]);

    await vi.waitFor(() => expect(listener.heard).toEqual(["events"]));
    expect(await store.latestPosition()).toBe(1n);
  });

  it("tells of many appends with few notifications, and of the last one always", async () => {
    const store = schema.openStore({ notify: { channel, minIntervalMs: 50 } });
    const listener = await listen();

    await Promise.all(Array.from({ length: 30 }, (_, index) => store.append([{ ...event, aggregateId: `${index}` }])));
    await store.close();

    const heard = await listener.fence();
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.length).toBeLessThan(30);
  });

  it("tells of nothing when it was asked not to, until it is told to wake", async () => {
    const store = schema.openStore({ notify: { channel } });
    const listener = await listen();
    await store.append([event], { wake: false });
    expect(await listener.fence()).toEqual([]);

    store.wake();

    await vi.waitFor(() => expect(listener.heard).toEqual(["events"]));
  });

  it("tells of nothing when a repetition has changed nothing", async () => {
    const store = schema.openStore({ notify: { channel } });
    const repeated = { ...event, id: "0190a000-0000-7000-8000-000000000001" };
    await store.append([repeated], { wake: false });
    const listener = await listen();

    await store.append([repeated]);

    expect(await listener.fence()).toEqual([]);
  });

  it.each([
    ["without ids", [event]],
    ["with ids", [{ ...event, id: "0190a000-0000-7000-8000-000000000001" }]],
  ])("tells of an append in a caller's transaction with its commit: %s", async (_, events) => {
    const store = schema.openStore({ notify: { channel } });
    const listener = await listen();
    const held = await holdPostgresTransaction(schema.sql);
    await store.append(events, { tx: held.tx });
    await store.append([{ ...event, aggregateId: "order-2" }], { tx: held.tx, expectedVersion: 0 });
    expect(await listener.fence()).toEqual([]);

    await held.commit();

    // Equal ones of one transaction collapse.
    await vi.waitFor(() => expect(listener.heard).toEqual(["events"]));
  });

  it("tells of appends in a transaction of its own after the commit, outside of it: no lock of all commits is taken there", async () => {
    const statements: string[] = [];
    const debug = (_: number, text: string) => statements.push(text);
    const store = schema.openStore({ notify: { channel }, connection: { url: schema.url, debug } });
    const listener = await listen();

    await store.transaction(async (tx) => {
      await store.append([event], { tx });
      await tx.savepoint((inner) => store.append([{ ...event, aggregateId: "order-2" }], { tx: inner }));
      expect(await listener.fence()).toEqual([]);
    });

    await vi.waitFor(() => expect(listener.heard).toEqual(["events"]));
    const isNotify = (text: string) => text.includes("pg_notify");
    expect(statements.filter(isNotify)).toHaveLength(1);
    expect(statements.findIndex(isNotify)).toBeGreaterThan(statements.lastIndexOf("commit"));
  });

  it("tells of nothing that was rolled back, and of nothing when asked not to", async () => {
    const store = schema.openStore({ notify: { channel } });
    const listener = await listen();
    const rolledBack = await holdPupTransaction(store);
    await store.append([event], { tx: rolledBack.tx });
    await rolledBack.rollback();
    const silent = await holdPupTransaction(store);
    await store.append([event], { tx: silent.tx, wake: false });
    await silent.commit();

    expect(await listener.fence()).toEqual([]);
  });

  it("tells workers of each other on the same channel", async () => {
    const store = schema.openStore({ notify: { channel } });
    const listener = await listen();
    const session = await store.openControlSession();

    await session.register({ workerId: workerA, consumers: ["orders"] });
    expect(await listener.fence()).toEqual(["worker-joined"]);
    const leadership = (await session.election.tick()) ?? { term: -1 };
    const plan = { assignments: new Map([["orders", workerA]]), dead: [] };
    await session.assign(leadership, plan);
    await session.assign(leadership, plan);
    expect(await listener.fence()).toEqual(["assignments-changed"]);
    await session.deregister(workerA);
    expect(await listener.fence()).toEqual(["worker-joined"]);
  });

  it("goes on when a listener is stuck in a transaction and takes nothing", async () => {
    const store = schema.openStore({ notify: { channel, minIntervalMs: 1 } });
    const listener = await listen();
    await listener.client.query("BEGIN");
    await listener.client.query("SELECT 1");

    for (let count = 0; count < 200; count++) await store.append([event]);

    expect((await store.readStream(event)).version).toBe(200);
    await listener.client.query("COMMIT");
    await vi.waitFor(() => expect(listener.heard.length).toBeGreaterThan(0));
    expect(new Set(listener.heard)).toEqual(new Set(["events"]));
  });
});

describe("A store that was not asked to notify", () => {
  it("tells nobody anything", async () => {
    const store = schema.openStore();
    const listener = await listen("pup_events");

    await store.append([event]);
    await store.transaction((tx) => store.append([event], { tx }));
    store.wake();
    const session = await store.openControlSession();
    await session.register({ workerId: workerA, consumers: [] });

    expect(await listener.fence()).toEqual([]);
  });
});
