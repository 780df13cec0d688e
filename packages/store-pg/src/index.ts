export { createPgStore, type PgStore } from "./create-store.ts";
export type { PgTx } from "./events/caller-transaction.ts";
export { OverloadedError } from "./events/overloaded-error.ts";
export type { ElectionSetting, NotifyOptions, PgStoreOptions } from "./options.ts";
export { RightsMissingError } from "./schema/check-rights.ts";
export { InvalidIdentifierError } from "./schema/identifier.ts";
export { LEADER_LOCK_CLASS } from "./schema/lock-keys.ts";
export { type MigrateOptions, type MigrateResult, migrate } from "./schema/migrate.ts";
export type { SchemaOptions, TableNames } from "./schema/tables.ts";
export type { ClientFactory, ClientOverrides, ConnectionOptions } from "./session/client.ts";
export {
  CertificateRefusedError,
  CommitUnknownError,
  ConnectionFailedError,
  ConnectionLostError,
  LoginRefusedError,
  SavepointOpenError,
  StatementTimeoutError,
  TransactionAbortedError,
  TransactionControlError,
  TransactionOverError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "./session/session-errors.ts";
export type { RunTransaction, TransactionOptions } from "./session/transaction.ts";
export type { PgTransaction } from "./session/transaction-facade.ts";
export type { PgControlSession } from "./workers/open-control-session.ts";
