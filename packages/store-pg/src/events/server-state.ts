import type { ServerState } from "@pup/core";

/** {@link ServerState} as {@link serverStateColumns} selects it. */
export interface ServerStateRow {
  readonly recovering: boolean;
  readonly serverrun: string;
}

/**
 * Says whose word an answer is, in the same snapshot as the answer. The server's start as a number, because time zones of
 * sessions may differ.
 */
export const serverStateColumns =
  "pg_is_in_recovery() AS recovering, date_part('epoch', pg_postmaster_start_time())::text AS serverrun";

export function toServerState({ recovering, serverrun }: ServerStateRow): ServerState {
  return { recovering, serverRun: serverrun };
}
