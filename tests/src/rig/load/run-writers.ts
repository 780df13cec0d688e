import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, Kysely as KyselyClass, PostgresDialect } from "kysely";
import pg from "pg";
import type { Sql } from "postgres";
import { createChance } from "../chance.ts";
import { appendAlone, appendToVersion, conflictAlone, repeatAlone } from "./append-alone.ts";
import { type Desk, enter, playScript } from "./play-script.ts";
import { drawEvents, drawScript, drawSlowScript } from "./script.ts";
import { commitInTwoPhases, preparedPrefix } from "./two-phases.ts";
import { throughKysely, throughPostgresJs, throughStore } from "./ways.ts";

/** How many append at the same time. The first of them is slow. */
export const writers = 14;

/** What the writers work with. */
export interface WritersOptions extends Desk {
  /** The application's own client; null where its connections are going to break, which postgres.js does not survive. */
  readonly sql: Sql | null;
  readonly db: Kysely<unknown>;
  readonly seed: number;
  /** Ends it: everybody finishes what they are at. */
  readonly stop: AbortSignal;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

const actions = { append: 30, version: 10, conflict: 3, repeat: 5, transaction: 45, prepare: 3 };
const restMs = { least: 10, most: 90 };

/** Opens Kysely on the driver `pg`, as an application may. */
export function openKysely(url: string, max: number): Kysely<unknown> {
  const pool = new pg.Pool({ connectionString: url, max, application_name: "rig kysely" });
  // Both tell of connections that broke while nobody used them.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return new KyselyClass<unknown>({ dialect: new PostgresDialect({ pool }) });
}

/** Lets all of them append in every way there is, until told to stop. */
export async function runWriters(options: WritersOptions): Promise<void> {
  await Promise.all(Array.from({ length: writers }, (_, index) => runWriter(options, index)));
}

async function runWriter(options: WritersOptions, index: number): Promise<void> {
  const { sql, store, db, account, seed, stop, signal } = options;
  const chance = createChance(seed, index);
  const slow = index === 0;
  const ways = [throughStore(store), throughKysely(db), ...(sql ? [throughPostgresJs(sql)] : [])];
  const pause = (ms: number) =>
    sleep(ms, undefined, { signal: AbortSignal.any([stop, signal]) }).catch(() => undefined);

  async function act(): Promise<void> {
    const way = chance.pick(ways);
    if (slow) {
      const draft = await playScript(options, drawSlowScript(chance, `slow-${chance.whole(1, 20)}`), way);
      return enter(account, draft, draft.ending);
    }
    switch (chance.weighted(actions)) {
      case "append":
        return appendAlone(options, drawEvents(chance), "any", signal);
      case "version":
        return appendToVersion(options, drawEvents(chance), signal);
      case "conflict":
        return conflictAlone(options, chance.whole(0, 10_000), chance.uuid());
      case "repeat":
        return repeatAlone(options, chance.whole(0, 10_000));
      case "transaction": {
        const draft = await playScript(options, drawScript(chance), way);
        return enter(account, draft, draft.ending);
      }
      case "prepare": {
        const script = { ...drawSlowScript(chance, `prepared-${index}-${chance.whole(1, 20)}`), holdMs: 0 };
        const name = `${preparedPrefix}${chance.uuid()}`;
        return commitInTwoPhases(options, db, script, { name, lieMs: chance.whole(5, 500) });
      }
    }
  }

  while (!stop.aborted && !signal.aborted) {
    await act();
    await pause(slow ? chance.whole(50, 300) : chance.whole(restMs.least, restMs.most));
  }
}
