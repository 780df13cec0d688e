export { findBinaries, type PostgresBinaries } from "./binaries.ts";
export { type CreateDatabaseOptions, createDatabase, type TestDatabase } from "./create-database.ts";
export { type PreparedStores, type PrepareStoresOptions, prepareStores } from "./prepare-stores.ts";
export {
  type PostgresServer,
  type PostgresSource,
  type StartPostgresOptions,
  type StopMode,
  startPostgres,
} from "./start-postgres.ts";
export { type Sender, startTcpProxy, type TcpProxy, type Verdict } from "./tcp-proxy.ts";
