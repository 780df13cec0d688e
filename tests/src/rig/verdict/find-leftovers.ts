import type { Sql } from "postgres";
import { lookUntil } from "../patience.ts";

/** How long the server may take to notice that a process has ended, in milliseconds. */
const NOTICE_MS = 5_000;

/** What workers have left in the database that all have stopped: one line for each kind of thing. */
export async function findLeftovers(sql: Sql, signal: AbortSignal): Promise<readonly string[]> {
  let found: readonly string[] = [];
  await lookUntil(
    async () => {
      found = await look(sql);
      return found.length === 0 ? true : undefined;
    },
    { limitMs: NOTICE_MS, everyMs: 100, signal },
  );
  return found;
}

async function look(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ what: string; count: number }[]>`
    select what, count(*)::integer as count from (
      select 'rows of workers' as what from worker_nodes
      union all select 'assignments' from consumer_assignments
      union all select 'consumers with an owner' from consumer_checkpoints where owner_id is not null
      union all select 'leaders' from leader_lease where owner_id is not null
      union all select 'advisory locks' from pg_locks
        where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
      union all select 'sessions' from pg_stat_activity
        where datname = current_database() and (application_name like 'pup worker %' or application_name = 'pup notify')
      union all select 'prepared transactions' from pg_prepared_xacts where database = current_database()
    ) as leftover group by what order by what`;
  return rows.map(({ what, count }) => `${count} ${what}`);
}
