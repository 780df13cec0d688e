import { setTimeout as pause } from "node:timers/promises";
import type { GlobalPosition } from "@pup/core";
import { createPgStore } from "@pup/store-pg";
import { type PostgresServer, startPostgres } from "@pup/testing/postgres";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";
import { stepsBack, watchCheckpoints } from "./support/watch-checkpoints.ts";

const names = ["one", "two", "three"];
const WRITERS = 4;
const KILLS = 20;
const CRASHES = 1;

let server: PostgresServer;
let parts: Parts;

beforeEach(async () => {
  server = await startPostgres({ source: "binaries", settings: { fsync: true } });
  parts = await openParts(server.url);
  await createTrail(parts.sql);
});
afterEach(async () => {
  await parts[Symbol.asyncDispose]();
  await server.close();
});

it("Every acknowledged append is in the log where it was said to be, and no checkpoint goes back, through kills and crashes", {
  timeout: 60_000,
}, async () => {
  await watchCheckpoints(parts.sql);
  const victim = createPgStore({ connection: parts.url, applicationName: "victim" });
  const running = parts.start({
    store: victim,
    consumers: names.map((name) => trailConsumer(name, { batchSize: 10 })),
  });
  await Promise.all(
    names.map((name) => running.recorded.first("consumer:acquired", ({ consumer }) => consumer === name)),
  );
  const acknowledged = new Map<string, { position: GlobalPosition; version: number }>();
  let writing = true;
  let unknown = 0;

  /** Appends without repeating what fails: that may be in the log or not. */
  const write = async (writer: number) => {
    while (writing) {
      try {
        const { events } = await victim.append([
          { aggregateType: "Order", aggregateId: `o-${writer}`, type: "Changed", payload: {} },
        ]);
        for (const { id, globalPosition, aggregateVersion } of events) {
          acknowledged.set(id, { position: globalPosition, version: aggregateVersion });
        }
      } catch (error) {
        if (!victim.isTransient(error)) throw error;
        unknown += 1;
        await pause(5);
      }
    }
  };
  const kill = async () => {
    const ended = await parts.sql`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pup victim'
      order by (state <> 'idle') desc, random() limit 1`.catch((error: unknown) => {
      if (!victim.isTransient(error)) throw error;
      return []; // Our own connection fell with the server.
    });
    return ended.length;
  };

  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  for (let crashes = 0, kills = 0; crashes <= CRASHES; crashes++) {
    while (kills < (KILLS / (CRASHES + 1)) * (crashes + 1)) {
      kills += await kill();
      await pause(Math.random() * 80);
      // One kill takes everybody's append with it: without this, a slow machine would kill more than it acknowledges.
      const enough = acknowledged.size + 6;
      await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThanOrEqual(enough), {
        timeout: 10_000,
        interval: 2,
      });
    }
    if (crashes < CRASHES) await server.restart({ mode: "immediate" });
  }
  writing = false;
  await writers;
  expect(acknowledged.size).toBeGreaterThan(100);
  expect(unknown).toBeGreaterThan(0);

  const found = await parts.sql<{ id: string; position: string; version: number }[]>`
    select event_id as id, global_position as position, aggregate_version as version from events`;
  const log = new Map(found.map(({ id, position, version }) => [id, { position: BigInt(position), version }]));
  const missing = [...acknowledged].filter(([id]) => !log.has(id));
  expect(missing).toEqual([]);
  for (const [id, place] of acknowledged) expect(log.get(id)).toEqual(place);

  await reached(running, parts.store, names, await parts.store.latestPosition());
  for (const name of names) {
    const report = await compareTrail(parts.sql, name);
    expect(report).toMatchObject({ delivered: report.committed, lost: 0, duplicates: 0, outOfOrder: 0 });
  }
  expect(await stepsBack(parts.sql)).toEqual([]);
  await running.worker.stop();
  await victim.close();
});
