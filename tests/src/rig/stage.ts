import type { PostgresServer } from "@pup/testing/postgres";
import type { Sql } from "postgres";
import type { Fleet, Seat } from "./fleet/fleet.ts";
import type { Protection } from "./protections.ts";
import type { ResolvedTimings } from "./timings.ts";

/** What a run works with. */
export interface Stage {
  readonly server: PostgresServer;
  /** The rig's own client, on a direct line. */
  readonly sql: Sql;
  readonly fleet: Fleet;
  readonly timings: ResolvedTimings;
  readonly broken: Protection | null;
  /** Whether workers are told of appends. */
  readonly notifications: { lost: boolean };
  /** Appends one event to each scope. Answers with the position of the first. */
  readonly mark: () => Promise<bigint>;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** Tells people what has happened. */
  readonly tell: (text: string) => void;
}

/** Who owns what, as the database knows it. */
export interface Ownership {
  readonly consumer: string;
  readonly ownerId: string | null;
  readonly epoch: number;
  readonly position: bigint;
}

/** Asks who owns what. */
export async function readOwnership(sql: Sql): Promise<readonly Ownership[]> {
  const rows = await sql<{ consumer: string; ownerId: string | null; epoch: number; position: string }[]>`
    select consumer_name as consumer, owner_id as "ownerId", epoch::integer, last_position::text as position
    from consumer_checkpoints order by consumer_name`;
  return rows.map((row) => ({ ...row, position: BigInt(row.position) }));
}

/** The seat of the leader; undefined when nobody leads, or who leads is no process of ours any more. */
export async function findLeader({ sql, fleet }: Stage): Promise<Seat | undefined> {
  const [row] = await sql<{ ownerId: string | null }[]>`select owner_id as "ownerId" from leader_lease`;
  return fleet.bySeatOf(row?.ownerId ?? null);
}
