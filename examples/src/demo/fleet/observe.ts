import type { Sql } from "postgres";

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
}

/** Looks once. */
export async function observe(sql: Sql): Promise<Observation> {
  const [consumers, [lease]] = await Promise.all([
    sql<ConsumerObservation[]>`
      select
        consumer_name as consumer,
        owner_id as "workerId",
        epoch::integer,
        greatest((select max(global_position) from events) - last_position, 0)::integer as lag
      from consumer_checkpoints
      order by consumer_name`,
    sql<{ owner_id: string | null }[]>`select owner_id from leader_lease`,
  ]);
  return { leaderId: lease?.owner_id ?? null, consumers };
}
