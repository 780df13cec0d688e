import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createSeededRandomness } from "@pup/testing";
import { findBinaries, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  APPLICATION_NAME,
  expectNoCrash,
  type LabTables,
  openSessionLab,
  type SessionLab,
} from "../test-support/session-lab.ts";
import type { Sessions } from "./create-sessions.ts";
import type { PgTransaction } from "./transaction-facade.ts";

const LOOPS = 6;
const KILLS = 200;
const RESTARTS = 5;
const HANG_MS = 10_000;

// A server of its own, since it is crashed; elsewhere (behind a URL, say) that is not ours to do.
describe.skipIf((await findBinaries()).length === 0)("Sessions under random faults", () => {
  const seed = randomInt(2 ** 31);
  const { fraction } = createSeededRandomness(seed);
  let server: PostgresServer;
  let lab: SessionLab;

  beforeAll(async () => {
    server = await startPostgres({ source: "binaries" });
    lab = await openSessionLab(server.url);
    await lab.admin`create table halves (run int, half int)`;
  });
  afterAll(async () => {
    await lab.close();
    await server.close();
  });

  /** Writes both halves of a run, as a handler does that knows no caution. */
  async function writeBothHalves(tx: PgTransaction<LabTables>, run: number): Promise<void> {
    const early = tx.sql`insert into halves values (${run}, 2)`;
    await tx.sql`insert into halves values (${run}, 1)`;
    if (fraction() < 0.5) await sleep(fraction() * 8);
    if (fraction() < 0.3) await tx.sql`select pg_sleep(0.004)`.catch(() => undefined);
    if (fraction() < 0.2) await Promise.all(Array.from({ length: 20 }, (_, i) => tx.sql`select ${i}::int`));
    if (fraction() < 0.2) {
      // Stays busy with the handle after the transaction is over, and catches whatever comes of it.
      void tx.savepoint(async (sp) => {
        await sp.sql`insert into halves values (${run}, 3)`;
        throw new Error("undone");
      });
      void sleep(10).then(() => tx.sql`insert into halves values (${run}, 4)`.catch(() => undefined));
      throw new Error("left early");
    }
    if (fraction() < 0.3) {
      await tx.savepoint((sp) => sp.sql`select 1 / 0`).catch(() => undefined);
    }
    if (fraction() < 0.1) return new Promise(() => undefined);
    await early.catch(() => undefined);
  }

  it(`never leave a transaction half done, never hang, never end the process (seed ${seed})`, {
    timeout: 60_000,
  }, async () => {
    expectNoCrash();
    const sessions = lab.open({ maxTransactions: 4, maxStatements: 2 });
    const outcomes = new Map<number, string>();
    let faultsAreOver = false;
    let run = 0;

    const loops = Array.from({ length: LOOPS }, async () => {
      while (!faultsAreOver) {
        run += 1;
        outcomes.set(run, await attempt(sessions, run));
      }
    });
    await causeFaults(server);
    faultsAreOver = true;
    await Promise.all(loops);

    const written = await lab.admin<{ run: number; halves: string }[]>`
      select run, string_agg(half::text, '+' order by half) as halves from halves group by run`;
    const halvesOf = new Map(written.map(({ run, halves }) => [run, halves]));
    for (const [run, outcome] of outcomes) {
      expect(possibleRows(outcome), `run ${run}, ${outcome}`).toContain(halvesOf.get(run));
    }
    // Enough of both, or it shows nothing.
    const tally = new Map<string, number>();
    for (const outcome of outcomes.values()) tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
    expect(tally.get("committed")).toBeGreaterThan(100);
    expect(tally.get("PUP_CONNECTION_LOST")).toBeGreaterThan(20);
    await expect(sessions.sql`select 1 as one`).resolves.toEqual([{ one: 1 }]);
  });

  function possibleRows(outcome: string): (string | undefined)[] {
    if (outcome === "committed") return ["1+2"];
    if (outcome === "PUP_COMMIT_UNKNOWN") return ["1+2", undefined];
    return outcome === "hung" ? [] : [undefined];
  }

  async function attempt(sessions: Sessions<LabTables>, run: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve("hung"), HANG_MS);
    });
    const settled = sessions
      .transaction((tx) => writeBothHalves(tx, run), { timeoutMs: 100 })
      .then(
        () => "committed",
        async (error: { code?: string }) => {
          // Nobody is at home while the server restarts.
          if (error.code === "PUP_CONNECTION_FAILED") await sleep(5);
          return error.code ?? "own";
        },
      );
    const outcome = await Promise.race([settled, hung]);
    clearTimeout(timer);
    return outcome;
  }

  async function causeFaults(target: PostgresServer): Promise<void> {
    for (let restart = 0; restart <= RESTARTS; restart++) {
      const killer = postgres(target.url, { max: 1, fetch_types: false });
      await killSome(killer, KILLS / (RESTARTS + 1));
      await killer.end();
      if (restart < RESTARTS) await target.restart({ mode: "immediate" });
    }
  }

  async function killSome(killer: Sql, atLeast: number): Promise<void> {
    for (let kills = 0; kills < atLeast; ) {
      await sleep(20 * (0.5 + fraction()));
      const killed = await killer`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = ${APPLICATION_NAME} order by random() limit 1`;
      kills += killed.length;
    }
  }
});
