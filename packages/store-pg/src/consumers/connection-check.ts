import type { Execute } from "../execute.ts";
import { sqlStateOf } from "../sql-state.ts";

/**
 * Finds out, once, whether the server can notice in the middle of a statement that its client is gone: from version 14 on,
 * where its operating system helps. Without it, the statement runs to its end first.
 */
export function createConnectionCheck(execute: Execute): () => Promise<boolean> {
  let known: Promise<boolean> | undefined;

  async function ask(): Promise<boolean> {
    try {
      const [row] = await execute<{ can: boolean }>(`
SELECT CASE WHEN current_setting('server_version_num')::integer >= 140000
  THEN set_config('client_connection_check_interval', '500ms', true) IS NOT NULL ELSE false END AS can`);
      return row?.can ?? false;
    } catch (error) {
      // The server answered, and will not have it.
      if (sqlStateOf(error) !== undefined) return false;
      known = undefined;
      throw error;
    }
  }

  return () => {
    known ??= ask();
    return known;
  };
}
