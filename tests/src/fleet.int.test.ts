import { createWorker, type Worker } from "@pup/coordinator";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgStore } from "@pup/store-pg";
import { createDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { describe, expect, inject, it, vi } from "vitest";
import { createTrail, trailConsumer } from "./support/trail.ts";

const WORKERS = 6;
const CONSUMERS = 60;
const POOL = 2;
const IDLE_MS = 3_000;

interface Member {
  readonly worker: Worker;
  readonly store: PgStore;
  readonly applicationName: string;
  /** Statements that it has sent so far, over all its connections. */
  readonly statements: () => number;
}

/** A worker as a process of its own has it: with a store of its own. */
function openMember(url: string, index: number): Member {
  let statements = 0;
  const connection = { url, debug: () => ++statements };
  const store = createPgStore({ connection, max: POOL, applicationName: `member ${index}` });
  const consumers = Array.from({ length: CONSUMERS }, (_, number) => trailConsumer(`consumer-${number}`));
  const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers });
  return { worker, store, applicationName: `pup member ${index}`, statements: () => statements };
}

async function ownedBy(sql: Sql): Promise<readonly number[]> {
  const rows = await sql<{ owned: number }[]>`
    select count(*)::int as owned from consumer_checkpoints where owner_id is not null group by owner_id`;
  return rows.map(({ owned }) => owned);
}

describe(`${WORKERS} workers with ${CONSUMERS} consumers at default times, with a pool of ${POOL} each`, () => {
  it("share them evenly, and hold sessions and ask questions by their own number, not by that of the consumers", async () => {
    const database = await createDatabase(inject("postgresUrl"));
    await migrate({ connection: database.url });
    const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice: () => undefined });
    await createTrail(sql);
    const members = Array.from({ length: WORKERS }, (_, index) => openMember(database.url, index));
    const running = members.map(({ worker }) => worker.start());

    await vi.waitFor(async () => expect(await ownedBy(sql)).toEqual(members.map(() => CONSUMERS / WORKERS)), {
      timeout: 20_000,
      interval: 20,
    });
    const sessions = await sql<{ name: string; count: number }[]>`
      select application_name as name, count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name like 'pup member %' group by 1`;
    for (const { name, count } of sessions) expect([name, count <= POOL + 1]).toEqual([name, true]);

    const before = members.map(({ statements }) => statements());
    const startedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    const seconds = (performance.now() - startedAt) / 1_000;
    for (const [index, { worker, statements }] of members.entries()) {
      // Five of the dispatcher, three for what the worker learns and tells, four more of the leader; and the safety poll, which is
      // frequent right after the start, with what is just under way when the counting begins.
      const promised = (5 + 3 + (worker.health().leads ? 4 : 0)) * seconds + 4;
      expect(statements() - (before[index] ?? 0)).toBeLessThanOrEqual(promised);
    }
    expect(members.filter(({ worker }) => worker.health().leads)).toHaveLength(1);
    expect(members.flatMap(({ worker }) => worker.health().problems)).toEqual([]);

    await Promise.all(members.map(({ worker }) => worker.stop()));
    await Promise.all(running);
    expect(await ownedBy(sql)).toEqual([]);
    const [left] =
      await sql`select (select count(*) from worker_nodes) + (select count(*) from consumer_assignments) as rows`;
    expect(left?.rows).toBe("0");
    await Promise.all(members.map(({ store }) => store.close()));
    await sql.end();
    await database.drop();
  });
});
