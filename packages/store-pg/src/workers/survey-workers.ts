import type { Survey } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { parseStatuses, statusesText } from "./observe-workers.ts";
import { PROTOCOL } from "./protocol.ts";

/** Reads what the leader deals out by, in one snapshot. */
export type SurveyWorkers = (execute: Execute) => Promise<Survey>;

interface SurveyRow {
  /** Workers that have the same consumers, together: all workers of one release. */
  readonly groups: string;
  readonly statuses: string;
  readonly assignments: string;
  /** Consumers of workers that are ahead of this leader. */
  readonly reserved: string;
}

interface Group {
  readonly workers: readonly string[];
  readonly consumers: readonly string[];
}

/** Names of consumers travel once for each release, not once for each worker: there may be thousands of either. */
export function createSurveyWorkers(tables: Tables): SurveyWorkers {
  const { workerNodes, consumerAssignments } = tables;
  const text = `
SELECT
  (
    SELECT coalesce(jsonb_agg(jsonb_build_object('workers', workers, 'consumers', consumers)), '[]')
    FROM (
      SELECT jsonb_agg(worker_id) AS workers, to_jsonb(consumers) AS consumers
      FROM ${workerNodes} WHERE protocol <= $1::integer GROUP BY consumers
    ) AS grouped
  )::text AS groups,
  ${statusesText(tables)} AS statuses,
  (SELECT coalesce(jsonb_object_agg(consumer_name, worker_id), '{}') FROM ${consumerAssignments})::text AS assignments,
  (
    SELECT coalesce(jsonb_agg(consumer_name), '[]')
    FROM ${consumerAssignments} JOIN ${workerNodes} USING (worker_id) WHERE protocol > $1::integer
  )::text AS reserved`;

  return async (execute) => {
    const [row] = await execute<SurveyRow>(text, [PROTOCOL]);
    const { groups, statuses, assignments, reserved } = row as SurveyRow;
    const notOurs = new Set<string>(JSON.parse(reserved));
    const isOurs = (consumer: string) => !notOurs.has(consumer);
    return {
      workers: (JSON.parse(groups) as Group[]).flatMap(({ workers, consumers }) => {
        const ours = consumers.filter(isOurs);
        return workers.map((workerId) => ({ workerId, consumers: ours }));
      }),
      statuses: parseStatuses(statuses),
      assignments: new Map(Object.entries<string>(JSON.parse(assignments)).filter(([consumer]) => isOurs(consumer))),
    };
  };
}
