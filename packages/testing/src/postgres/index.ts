export { findBinaries, type PostgresBinaries } from "./binaries.ts";
export { createDatabase, type TestDatabase } from "./create-database.ts";
export {
  type PostgresServer,
  type PostgresSource,
  type StartPostgresOptions,
  type StopMode,
  startPostgres,
} from "./start-postgres.ts";
export { createTcpProxy, type ProxyMode, type TcpProxy, type TcpProxyOptions } from "./tcp-proxy.ts";
