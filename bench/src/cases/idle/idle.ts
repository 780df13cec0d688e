import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCase, BenchContext } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { connect } from "../../workload/connect.ts";
import { idleBoss, idleEmmett, idleGraphile, idlePup, type StartIdle } from "./contestants.ts";

/** A full second of a server's statistics may come late. */
const COUNTED_MS = { full: 20_000, quick: 4_000, smoke: 300 } as const;
/** Safety polls grow rare only bit by bit. */
const SETTLED_AFTER_MS = { full: 10_000, quick: 1_500, smoke: 300 } as const;

type Metric = "transactions" | "CPU";

export const idle: BenchCase = {
  name: "idle",
  about: "what consumers ask of the database, and take of a core, while nothing happens",
  async run(context) {
    const idler = idleContestant(context);
    const metrics = {
      transactions: { unit: "per second", better: "less", goals: [{ relativeTo: "pup, 1 consumer", atMost: 1.2 }] },
      CPU: { unit: "% of a core", better: "less" },
    } as const;
    const common = { metrics, warmUp: 0, rounds: 1 };
    await context.compare({
      title: "100 consumers, notify",
      contestants: { pup: idler(idlePup("notify"), 100), "pup, 1 consumer": idler(idlePup("notify"), 1) },
      ...common,
    });
    await context.compare({
      title: "100 consumers, poll",
      contestants: { pup: idler(idlePup("poll"), 100), "pup, 1 consumer": idler(idlePup("poll"), 1) },
      ...common,
    });
    await context.compare({
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
  },
};

function idleContestant({ pick, signal, database }: BenchContext) {
  return (start: StartIdle, consumers: number): OpenContestant<Metric> =>
    async () => ({
      async measure() {
        const url = await database();
        const stop = await start(url, consumers);
        try {
          await sleep(pick(SETTLED_AFTER_MS), undefined, { signal });
          const before = await transactionsOf(url);
          const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
          await sleep(pick(COUNTED_MS), undefined, { signal });
          const { user, system } = process.cpuUsage(cpu);
          const seconds = (performance.now() - startedAt) / 1_000;
          return {
            transactions: ((await transactionsOf(url)) - before) / seconds,
            CPU: (user + system) / seconds / 10_000,
          };
        } finally {
          await stop();
        }
      },
      close: async () => undefined,
    });
}

/** Transactions of a database so far, single statements among them. Asked from another one, so that the question is none of them. */
async function transactionsOf(url: string): Promise<number> {
  const name = new URL(url).pathname.slice(1);
  const elsewhere = new URL(url);
  elsewhere.pathname = "postgres";
  const sql = connect(elsewhere.href, 1);
  try {
    const [row] = await sql<{ count: number }[]>`
      SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = ${name}`;
    return row?.count ?? Number.NaN;
  } finally {
    await sql.end();
  }
}
