import type { GlobalPosition } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Asks for the position of the newest visible event; `0n` when the log is empty. */
export type LatestPosition = (execute: Execute) => Promise<GlobalPosition>;

export function createLatestPosition({ events }: Tables): LatestPosition {
  const text = `SELECT coalesce(max(global_position), 0)::text AS latest FROM ${events}`;

  return async (execute) => {
    const [row] = await execute<{ latest: string }>(text);
    return BigInt(row?.latest ?? 0);
  };
}
