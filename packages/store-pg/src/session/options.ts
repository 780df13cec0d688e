import { checkInteger, checkName, type Logger, silentLogger } from "@pup/core";
import type { KyselyPlugin } from "kysely";
import type { ClientFactory, ConnectionOptions } from "./client.ts";

/** How to reach the server, and with how many connections. */
export interface SessionsOptions {
  /** How to reach the server: connection string, options of postgres.js, or a factory of its clients. */
  readonly connection: ConnectionOptions | ClientFactory;

  /** Most transactions at once, each on a connection of its own. Others wait for their turn. @defaultValue `5` */
  readonly maxTransactions?: number | undefined;

  /** Most single statements at once, each on a connection of its own. Others wait for their turn. @defaultValue `5` */
  readonly maxStatements?: number | undefined;

  /**
   * Whether the server keeps statements prepared for the next time. Say `false` behind a pooler that does not support it.
   *
   * @defaultValue what `connection` says, else `true`
   */
  readonly prepare?: boolean | undefined;

  /** What the server's views show. @defaultValue `"pup"` */
  readonly applicationName?: string | undefined;

  /**
   * Time for one single statement, in milliseconds, connecting included. It also notices when the server can no longer be
   * reached, which TCP alone may take a quarter of an hour for.
   *
   * @defaultValue `30_000`
   */
  readonly statementTimeoutMs?: number | undefined;

  /** Age after which a connection of the pools is replaced, in milliseconds. @defaultValue `2_700_000` (45 minutes) */
  readonly maxLifetimeMs?: number | undefined;

  /** Plugins of `tx.db`. @defaultValue none */
  readonly plugins?: readonly KyselyPlugin[] | undefined;

  /** Hears the server's notices, at level debug. @defaultValue silent */
  readonly logger?: Logger | undefined;
}

const sessionsDefaults = {
  maxTransactions: 5,
  maxStatements: 5,
  applicationName: "pup",
  statementTimeoutMs: 30_000,
  maxLifetimeMs: 2_700_000,
  plugins: [],
  logger: silentLogger,
} as const satisfies Partial<SessionsOptions>;

type Complete<Options> = { readonly [Name in keyof Options]-?: NonNullable<Options[Name]> };

/** Complete, but for `prepare`: undefined leaves it to the connection's options. */
export type ResolvedSessionsOptions = Complete<Omit<SessionsOptions, "prepare">> & Pick<SessionsOptions, "prepare">;

/** @throws {@link InvalidOptionError} when a value cannot work */
export function resolveSessionsOptions(options: SessionsOptions): ResolvedSessionsOptions {
  const {
    connection,
    prepare,
    maxTransactions = sessionsDefaults.maxTransactions,
    maxStatements = sessionsDefaults.maxStatements,
    applicationName = sessionsDefaults.applicationName,
    statementTimeoutMs = sessionsDefaults.statementTimeoutMs,
    maxLifetimeMs = sessionsDefaults.maxLifetimeMs,
    plugins = sessionsDefaults.plugins,
    logger = sessionsDefaults.logger,
  } = options;
  return {
    connection,
    prepare,
    maxTransactions: checkInteger("maxTransactions", maxTransactions),
    maxStatements: checkInteger("maxStatements", maxStatements),
    // Longer names are cut by the server, and would then not be found again.
    applicationName: checkName("applicationName", applicationName, 63),
    statementTimeoutMs: checkInteger("statementTimeoutMs", statementTimeoutMs),
    maxLifetimeMs: checkInteger("maxLifetimeMs", maxLifetimeMs),
    plugins,
    logger,
  };
}
