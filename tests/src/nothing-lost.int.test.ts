import type { WorkerStore } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";
import { compareAccount, runWriters } from "./support/writers.ts";

const scopes = {
  all: {},
  invoices: { aggregateTypes: ["Invoice"] },
  "paid orders": { aggregateTypes: ["Order"], eventTypes: ["Paid"] },
};

describe("24 concurrent writers, 15 % rollbacks and 1 % slow transactions, with live consumers", () => {
  let parts: Parts;

  beforeEach(async () => {
    parts = await openParts(inject("postgresUrl"), { clientMax: 24 });
    await createTrail(parts.sql);
  });
  afterEach(() => parts[Symbol.asyncDispose]());

  async function run(store: WorkerStore<PgTransaction>, durationMs: number) {
    const names = Object.keys(scopes) as (keyof typeof scopes)[];
    const running = parts.start({ store, consumers: names.map((name) => trailConsumer(name, scopes[name])) });
    const account = await runWriters({ ...parts, writers: 24, durationMs, rollbacks: 0.15, slow: 0.01, slowMs: 600 });
    await parts.store.append([{ aggregateType: "Order", aggregateId: "last", type: "Paid", payload: {} }]);
    await parts.store.append([{ aggregateType: "Invoice", aggregateId: "last", type: "Paid", payload: {} }]);
    const last = await parts.store.latestPosition();
    await reached(running, parts.store, ["all", "invoices"], last);
    await reached(running, parts.store, ["paid orders"], last - 1n);
    const reports = await Promise.all(names.map((name) => compareTrail(parts.sql, name, scopes[name])));
    return { account, reports };
  }

  it("lose nothing, double nothing and keep the order", { timeout: 90_000 }, async () => {
    const { account, reports } = await run(parts.store, 20_000);

    expect(account.acknowledged.size).toBeGreaterThan(1_000);
    expect(account.rolledBack.size).toBeGreaterThan(100);
    expect(await compareAccount(parts.sql, account)).toEqual({ acknowledgedButMissing: 0, rolledBackButThere: 0 });
    for (const report of reports) {
      expect(report).toMatchObject({ delivered: report.committed, lost: 0, duplicates: 0, outOfOrder: 0 });
      expect(report.committed).toBeGreaterThan(100);
    }
  });

  it("lose events where the settled position is left out: the run above can fail", { timeout: 60_000 }, async () => {
    const naive: WorkerStore<PgTransaction> = {
      ...parts.store,
      async scanPositions(after) {
        const { serverRun, recovering } = await parts.store.scanPositions(after);
        const highest = await parts.store.latestPosition();
        return { contiguous: highest, hole: false, highest, serverRun, recovering };
      },
      inFlightAppenders: async () => ({ ...(await parts.store.inFlightAppenders()), appenders: [] }),
    };
    const { reports } = await run(naive, 5_000);

    expect(reports[0]?.lost).toBeGreaterThan(0);
  });
});
