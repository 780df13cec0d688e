import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { type Desk, type Ending, enter, playScript } from "./play-script.ts";
import type { Script } from "./script.ts";
import { throughPrepare } from "./ways.ts";

/** How prepared transactions of the rig are called: by it they are found again. */
export const preparedPrefix = "rig-";

/** Prepares a transaction, and lets it lie for a while before it is committed or rolled back from another session. */
export async function commitInTwoPhases(
  desk: Desk,
  db: Kysely<unknown>,
  script: Script,
  { name, lieMs }: { readonly name: string; readonly lieMs: number },
): Promise<void> {
  const ended = desk.account.spans.begin();
  try {
    // A transaction that notifies cannot be prepared: workers are told afterwards.
    const quiet = { ...desk, notifies: () => false };
    const draft = await playScript(quiet, { ...script, commits: true }, throughPrepare(db, name));
    if (draft.ending !== "committed") return enter(desk.account, draft, draft.ending);
    desk.account.count("prepared");
    await sleep(lieMs);
    enter(desk.account, draft, await finish(db, name, script.commits));
    if (desk.notifies()) desk.store.wake();
  } finally {
    ended();
  }
}

/** Asks once more where the answer was lost: who knows no such transaction has ended it before. */
async function finish(db: Kysely<unknown>, name: string, commits: boolean): Promise<Ending> {
  const verb = sql.raw(commits ? "commit" : "rollback");
  for (let attempt = 1; attempt <= 200; attempt++) {
    try {
      await sql`${verb} prepared ${sql.lit(name)}`.execute(db);
      return commits ? "committed" : "rolled back";
    } catch (error) {
      const isUnknown = (error as { code?: string }).code === "42704";
      if (isUnknown && attempt > 1) return commits ? "committed" : "rolled back";
      await sleep(50);
    }
  }
  return "unknown";
}

/** Ends what was prepared and then forgotten, because the answer was lost. */
export async function endForgotten(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ gid: string }>`
    select gid from pg_prepared_xacts where starts_with(gid, ${preparedPrefix}) and database = current_database()`.execute(
    db,
  );
  for (const { gid } of rows) await sql`rollback prepared ${sql.lit(gid)}`.execute(db);
}
