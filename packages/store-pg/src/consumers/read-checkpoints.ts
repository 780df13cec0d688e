import type { Checkpoint } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Reads checkpoints; those that do not exist are missing from the answer. */
export type ReadCheckpoints = (execute: Execute, consumers: readonly string[]) => Promise<readonly Checkpoint[]>;

interface CheckpointRow {
  readonly consumer: string;
  readonly position: string;
  readonly epoch: string;
  readonly owner: string | null;
}

export function createReadCheckpoints({ consumerCheckpoints }: Tables): ReadCheckpoints {
  const text = `
SELECT consumer_name AS consumer, last_position::text AS position, epoch::text AS epoch, owner_id::text AS owner
FROM ${consumerCheckpoints}
WHERE consumer_name IN (SELECT jsonb_array_elements_text($1::text::jsonb))`;

  return async (execute, consumers) => {
    if (consumers.length === 0) return [];
    const rows = await execute<CheckpointRow>(text, [JSON.stringify(consumers)]);
    return rows.map(({ consumer, position, epoch, owner }) => ({
      consumer,
      position: BigInt(position),
      epoch: Number(epoch),
      ownerId: owner,
    }));
  };
}
