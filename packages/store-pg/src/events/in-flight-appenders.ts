import type { InFlightAppender, InFlightAppenders } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type ServerStateRow, serverStateColumns, toServerState } from "./server-state.ts";

/** Lists the transactions that have written to the log and have not ended. */
export type FindInFlightAppenders = (execute: Execute) => Promise<InFlightAppenders>;

interface AppenderRow extends ServerStateRow {
  /** Null when nobody is in flight. */
  readonly id: string | null;
  readonly pid: number | null;
  readonly name: string | null;
  readonly agems: number | null;
}

/**
 * Who has written to the log holds the table's RowExclusiveLock until the outcome is visible. The server knows a transaction by
 * its virtual id, and a prepared one, which has no process, better by its transaction id: that one survives a restart.
 */
export function createInFlightAppenders({ events }: Tables): FindInFlightAppenders {
  const text = `
WITH log AS (
  -- The tree of a table without partitions is empty.
  SELECT $1::text::regclass::oid AS relation UNION SELECT relid FROM pg_partition_tree($1::text::regclass)
), lock AS MATERIALIZED (
  -- Looked at once: between two looks a transaction could be prepared or end.
  SELECT locktype, relation, virtualtransaction, transactionid, pid
  FROM pg_locks
  WHERE granted AND (
    locktype = 'transactionid'
    OR locktype = 'relation' AND mode = 'RowExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  )
), appender AS (
  SELECT DISTINCT virtualtransaction, pid FROM lock WHERE locktype = 'relation' AND relation IN (SELECT relation FROM log)
)
SELECT
  running.*, ${serverStateColumns}
FROM (VALUES (true)) AS server
LEFT JOIN (
  SELECT
    appender.virtualtransaction AS id, appender.pid, session.application_name AS name,
    date_part('epoch', clock_timestamp() - session.xact_start) * 1000 AS agems
  FROM appender LEFT JOIN LATERAL pg_stat_get_activity(appender.pid) AS session ON true
  WHERE appender.pid IS NOT NULL
  UNION ALL
  SELECT
    'prepared ' || coalesce(own.transactionid::text, appender.virtualtransaction), NULL, prepared.gid,
    date_part('epoch', clock_timestamp() - prepared.prepared) * 1000
  FROM appender
  LEFT JOIN lock AS own
    ON own.locktype = 'transactionid' AND own.virtualtransaction = appender.virtualtransaction AND own.pid IS NULL
  LEFT JOIN pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
  WHERE appender.pid IS NULL
) AS running ON true`;

  return async (execute) => {
    const rows = await execute<AppenderRow>(text, [events]);
    const appenders = rows.flatMap(({ id, pid, name, agems }): InFlightAppender[] =>
      id === null ? [] : [{ id, prepared: pid === null, pid, applicationName: name ?? "", ageMs: agems }],
    );
    return { appenders, ...toServerState(rows[0] as AppenderRow) };
  };
}
