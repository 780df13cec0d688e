import type { Sql } from "postgres";
import { producerName } from "./child-side.ts";

/** A consumer as the database knows it. */
interface ConsumerObservation {
  readonly consumer: string;
  /** Worker that runs it; null while it is between two. */
  readonly workerId: string | null;
  readonly epoch: number;
  /** Positions between its checkpoint and the end of the log. */
  readonly lag: number;
}

/** The fleet as the database knows it: nobody in it has to be asked. */
export interface Observation {
  readonly leaderId: string | null;
  readonly consumers: readonly ConsumerObservation[];
  /** For how long the producer's oldest transaction has been idle before its commit, in milliseconds; 0 if there is none. */
  readonly openAppendMs: number;
}

/** Looks once. */
export async function observe(sql: Sql): Promise<Observation> {
  const [consumers, [state]] = await Promise.all([
    sql<ConsumerObservation[]>`
      select
        consumer_name as consumer,
        owner_id as "workerId",
        epoch::integer,
        greatest((select max(global_position) from events) - last_position, 0)::integer as lag
      from consumer_checkpoints
      order by consumer_name`,
    sql<[{ leaderId: string | null; openAppendMs: number }]>`
      select
        (select owner_id from leader_lease) as "leaderId",
        coalesce((
          select max(extract(epoch from clock_timestamp() - state_change) * 1000) from pg_stat_activity
          where application_name = ${`pup ${producerName}`} and state = 'idle in transaction'
        ), 0)::integer as "openAppendMs"`,
  ]);
  return { ...state, consumers };
}
