import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase, type PostgresServer, startPostgres, type TestDatabase } from "@pup/testing/postgres";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { type Client, connect } from "../../workload/connect.ts";
import { idleBoss, idleEmmett, idleGraphile, idlePup, type StartIdle } from "./contestants.ts";

/** How long statements are counted, in milliseconds. */
const COUNTED_MS = { full: 20_000, quick: 3_000, smoke: 300 } as const;
/** Safety polls grow rare only bit by bit. */
const SETTLED_AFTER_MS = { full: 10_000, quick: 1_000, smoke: 300 } as const;

type Metric = "statements" | "CPU";

export const idle: BenchCase = {
  name: "idle",
  about: "what consumers ask of the database, and take of a core, while nothing happens",
  async run({ compare, pick, signal }) {
    // Counting statements slows a server down: the other cases have one that does not.
    const server = await startPostgres({
      source: "binaries",
      settings: { max_connections: 300, shared_preload_libraries: "pg_stat_statements" },
    });
    const counter = connect(server.url, 1);
    try {
      await counter`CREATE EXTENSION pg_stat_statements`;
      const idler = (start: StartIdle, consumers: number) =>
        idleContestant({ pick, signal, server, counter }, start, consumers);
      const metrics = {
        statements: { unit: "per second", better: "less", goals: [{ relativeTo: "pup, 1 consumer", atMost: 1.2 }] },
        CPU: { unit: "% of a core", better: "less" },
      } as const;
      const common = { metrics, warmUp: 0, rounds: 1 };
      await compare({
        title: "100 consumers, notify",
        contestants: { pup: idler(idlePup("notify"), 100), "pup, 1 consumer": idler(idlePup("notify"), 1) },
        ...common,
      });
      if (pick({ full: true, quick: false, smoke: false })) {
        await compare({
          title: "100 consumers, poll",
          contestants: { pup: idler(idlePup("poll"), 100), "pup, 1 consumer": idler(idlePup("poll"), 1) },
          ...common,
        });
      }
      await compare({
        title: "10 consumers, notify",
        contestants: {
          pup: idler(idlePup("notify"), 10),
          "pup, 1 consumer": idler(idlePup("notify"), 1),
          Emmett: idler(idleEmmett, 10),
          "graphile-worker": idler(idleGraphile, 10),
          "pg-boss": idler(idleBoss, 10),
        },
        ...common,
      });
    } finally {
      await counter.end();
      await server.close();
    }
  },
};

interface IdleContext extends Pick<BenchContext, "pick" | "signal"> {
  readonly server: PostgresServer;
  /** Reads the server's count of statements. */
  readonly counter: Client;
}

function idleContestant(
  { pick, signal, server, counter }: IdleContext,
  start: StartIdle,
  consumers: number,
): OpenContestant<Metric> {
  return async () => ({
    async measure() {
      const database = await createDatabase(server.url);
      const stop = await start(database.url, consumers);
      try {
        await sleep(pick(SETTLED_AFTER_MS), undefined, { signal });
        const before = await statementsOf(counter, database);
        const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
        await sleep(pick(COUNTED_MS), undefined, { signal });
        const { user, system } = process.cpuUsage(cpu);
        const seconds = (performance.now() - startedAt) / 1_000;
        const statements = (await statementsOf(counter, database)) - before;
        return { statements: statements / seconds, CPU: (user + system) / seconds / 10_000 };
      } finally {
        await stop();
        await database.drop();
      }
    },
    close: async () => undefined,
  });
}

async function statementsOf(counter: Client, { name }: TestDatabase): Promise<number> {
  const [row] = await counter<{ count: number }[]>`
    SELECT coalesce(sum(calls), 0)::float8 AS count
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = ${name}`;
  return row?.count ?? Number.NaN;
}
