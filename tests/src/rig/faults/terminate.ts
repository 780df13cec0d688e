import type { Sql } from "postgres";

/** First half of the advisory lock that the leader's session holds: "pup" in ASCII. */
const LEADER_LOCK_CLASS = 0x707570;

/** Sessions of workers: the names of their places, or that of the notify dispatcher. */
const isWorkers =
  "datname = current_database() and (application_name like 'pup worker %' or application_name = 'pup notify')";

/** Ends some sessions of workers, those in the middle of something first. Answers with how many. */
export async function terminateBackends(sql: Sql, count: number): Promise<number> {
  const ended = await sql.unsafe(`
    select pg_terminate_backend(pid) from pg_stat_activity where ${isWorkers}
    order by state <> 'idle' desc, random() limit ${count}`);
  return ended.length;
}

/** Ends one of the sessions that workers keep for good. Answers with how many there were to end: 0 or 1. */
export async function terminateSession(sql: Sql, session: "control" | "notify" | "leader"): Promise<number> {
  const holdsLock = (lock: string) => `pid in (
    select pid from pg_locks where locktype = 'advisory' and granted and ${lock}
      and database = (select oid from pg_database where datname = current_database())
  )`;
  const which = {
    control: `${isWorkers} and ${holdsLock("objsubid = 1")}`,
    leader: `${isWorkers} and ${holdsLock(`objsubid = 2 and classid = ${LEADER_LOCK_CLASS}`)}`,
    notify: "datname = current_database() and application_name = 'pup notify'",
  };
  const ended = await sql.unsafe(`
    select pg_terminate_backend(pid) from pg_stat_activity where ${which[session]} order by random() limit 1`);
  return ended.length;
}
