import { PupError } from "@pup/core";

/** The connection to the in-memory server is gone: it was killed, restarted or taken out of reach. Passes by itself. */
export class MemoryConnectionError extends PupError {
  override readonly name = "MemoryConnectionError";
  readonly code = "PUP_MEMORY_CONNECTION_LOST";
}

/** Two transactions waited for each other's rows, and this one gave way. Passes by itself. */
export class MemoryDeadlockError extends PupError {
  override readonly name = "MemoryDeadlockError";
  readonly code = "PUP_MEMORY_DEADLOCK";
}

/**
 * Two transactions that were open at the same time have appended the same event id to two aggregates, and the other one has committed:
 * this one is broken. Carries PostgreSQL's code, as the error of the database does.
 */
export class MemoryUniqueViolationError extends Error {
  override readonly name = "MemoryUniqueViolationError";
  readonly code = "23505";
}
