import type { GlobalPosition } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Asks for the highest position of all checkpoints; `0n` when there are none. */
export type GreatestCheckpoint = (execute: Execute) => Promise<GlobalPosition>;

export function createGreatestCheckpoint({ consumerCheckpoints }: Tables): GreatestCheckpoint {
  const text = `SELECT coalesce(max(last_position), 0)::text AS greatest FROM ${consumerCheckpoints}`;

  return async (execute) => {
    const [row] = await execute<{ greatest: string }>(text);
    return BigInt(row?.greatest ?? 0);
  };
}
