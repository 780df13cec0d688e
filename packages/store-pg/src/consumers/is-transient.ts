import { sqlStateOf } from "../sql-state.ts";

/** Faults of the server or of concurrency that pass by themselves and say nothing about what was being done. */
const transientStates = new Set([
  "25006", // read_only_sql_transaction: the server has become a standby
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57P05", // idle_session_timeout
  "25P03", // idle_in_transaction_session_timeout
  "53100", // disk_full
  "53300", // too_many_connections
]);

/** Class of errors about connections; poolers speak it. */
const CONNECTION_EXCEPTION = "08";

/** How pup and postgres.js call a connection that is lost or cannot be had, in time too. */
const connectionCodes = new Set([
  "PUP_CONNECTION_FAILED",
  "PUP_CONNECTION_LOST",
  "PUP_COMMIT_UNKNOWN",
  "PUP_OVERLOADED",
  "PUP_STATEMENT_TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECTION_ENDED",
  "CONNECT_TIMEOUT",
]);

// Errors are wrapped a few times, not endlessly; and a cause can lead in a circle.
const MAX_DEPTH = 10;

/**
 * True for errors of the database that pass by themselves, also as the cause of another error. What a handler reports of other
 * systems is not among them: whether those recover, pup cannot know.
 */
export function isTransient(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < MAX_DEPTH && typeof cause === "object" && cause !== null; depth++) {
    const { code } = cause as { readonly code?: unknown };
    if (code === "PUP_LOGIN_REFUSED") return false;
    if (typeof code === "string" && connectionCodes.has(code)) return true;
    const state = sqlStateOf(cause) ?? "";
    if (transientStates.has(state) || state.startsWith(CONNECTION_EXCEPTION)) return true;
    cause = (cause as { readonly cause?: unknown }).cause;
  }
  return false;
}
