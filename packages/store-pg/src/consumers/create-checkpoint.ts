import { checkName, type GlobalPosition } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";

/** Creates a checkpoint; leaves one that exists as it is. */
export type CreateCheckpoint = (execute: Execute, consumer: string, position: GlobalPosition) => Promise<void>;

export function createCreateCheckpoint({ consumerCheckpoints }: Tables): CreateCheckpoint {
  const text = `
INSERT INTO ${consumerCheckpoints} (consumer_name, last_position) VALUES ($1::text, $2::bigint)
ON CONFLICT (consumer_name) DO NOTHING`;

  return async (execute, consumer, position) => {
    checkName("consumer", consumer, 255);
    await execute(text, [consumer, String(position)]);
  };
}
