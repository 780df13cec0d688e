import {
  checkInteger,
  checkName,
  DEFAULT_NOTIFY_CHANNEL,
  type ElectionDriver,
  InvalidOptionError,
  type Logger,
  silentLogger,
} from "@pup/core";
import type { KyselyPlugin } from "kysely";
import { checkIdentifier } from "./schema/identifier.ts";
import { resolveTables, type SchemaOptions, type Tables } from "./schema/tables.ts";
import type { ClientFactory, ConnectionOptions } from "./session/client.ts";

/** How a store tells workers that there may be new events. */
export interface NotifyOptions {
  /** Channel, the same as the notify dispatcher's. @defaultValue `"pup_events"`, as there */
  readonly channel?: string | undefined;
  /**
   * Least time between two notifications after commits of the store's own, in milliseconds. Each notification takes a lock
   * that all commits of the server share: 1 costs throughput under load, more costs latency.
   *
   * @defaultValue `5`
   */
  readonly minIntervalMs?: number | undefined;
}

/** How workers elect their leader: one of the drivers, or the one that the connection allows. */
export type ElectionSetting = ElectionDriver | "auto";

/** What {@link createPgStore} is given. */
export interface PgStoreOptions extends SchemaOptions {
  /**
   * How to reach the server: connection string, options of postgres.js (with the password as value or function), or a factory
   * of its clients, which has to spread what it is given last: `(overrides) => postgres(url, { ...mine, ...overrides })`.
   */
  readonly connection: ConnectionOptions | ClientFactory;

  /**
   * Most connections of the store's pool, at least 2: half of them for transactions, so many batches can run at once, the
   * rest for single statements. A worker's control session comes on top.
   *
   * @defaultValue `10`
   */
  readonly max?: number | undefined;

  /** How many of them are for transactions. More for many consumers with slow handlers. @defaultValue half of `max` */
  readonly maxTransactions?: number | undefined;

  /**
   * Whether the server keeps statements prepared. Say `false` behind a pooler that does not support it.
   *
   * @defaultValue what `connection` says, else `true`
   */
  readonly prepare?: boolean | undefined;

  /** Tells workers of new events through `NOTIFY`: `{}` does. Needed for the notify dispatcher alone. @defaultValue off */
  readonly notify?: NotifyOptions | undefined;

  /**
   * How workers elect their leader. `"advisory"`: by a lock of the session, which is free as soon as the leader dies; needs a
   * connection that is a session. `"lease"`: by a row that runs out; works behind a pooler in transaction mode too, where
   * only silence tells that a worker has died. `"auto"` looks, when the first control session is opened, whether there is such
   * a pooler.
   *
   * @defaultValue `"auto"`
   */
  readonly election?: ElectionSetting | undefined;

  /**
   * How long a leader's lease lasts that is not renewed, in milliseconds: what fail-over takes when a leader dies. At least
   * 2,000, and three times the worker's `electionIntervalMs`.
   *
   * @defaultValue `10_000`
   */
  readonly leaseDurationMs?: number | undefined;

  /** What the server's views show, behind `pup`: 1 to 59 bytes. @defaultValue nothing */
  readonly applicationName?: string | undefined;

  /** Time for one single statement, in milliseconds. @defaultValue `30_000` */
  readonly statementTimeoutMs?: number | undefined;

  /**
   * Whether appends of the store's own that come while others are under way travel together. `false` sends each as a statement
   * of its own: for triggers on events that take long or fail often, which the others would wait for, or where many processes
   * append to the same few aggregates.
   *
   * @defaultValue `true`
   */
  readonly groupAppends?: boolean | undefined;

  /** Plugins of the Kysely that handlers are given as `tx.db`. @defaultValue none */
  readonly plugins?: readonly KyselyPlugin[] | undefined;

  /** @defaultValue silent */
  readonly logger?: Logger | undefined;
}

export const pgStoreDefaults = {
  max: 10,
  election: "auto",
  leaseDurationMs: 10_000,
  minIntervalMs: 5,
  statementTimeoutMs: 30_000,
  groupAppends: true,
  plugins: [],
  logger: silentLogger,
} as const;

/** How names of pup's sessions begin in the server's views. */
export const APPLICATION_PREFIX = "pup";

const ELECTIONS: readonly ElectionSetting[] = ["advisory", "lease", "auto"];

/** A few ticks of a worker with default options: less, and one slow answer costs the leadership. */
const MIN_LEASE_MS = 2_000;

/** Options that were checked, complete. */
export interface ResolvedPgStoreOptions {
  readonly connection: ConnectionOptions | ClientFactory;
  readonly tables: Tables;
  readonly maxTransactions: number;
  readonly maxStatements: number;
  readonly prepare: boolean | undefined;
  readonly notify: { readonly channel: string; readonly minIntervalMs: number } | undefined;
  readonly election: ElectionSetting;
  readonly leaseDurationMs: number;
  readonly applicationName: string;
  readonly statementTimeoutMs: number;
  readonly groupAppends: boolean;
  readonly plugins: readonly KyselyPlugin[];
  readonly logger: Logger;
}

/**
 * Fills in what was left out.
 *
 * @throws {@link InvalidOptionError} when a value cannot work
 * @throws {@link InvalidIdentifierError} when PostgreSQL cannot keep a name as it is
 */
export function resolvePgStoreOptions(options: PgStoreOptions): ResolvedPgStoreOptions {
  const {
    connection,
    max = pgStoreDefaults.max,
    prepare,
    notify,
    election = pgStoreDefaults.election,
    leaseDurationMs = pgStoreDefaults.leaseDurationMs,
    applicationName,
    statementTimeoutMs = pgStoreDefaults.statementTimeoutMs,
    groupAppends = pgStoreDefaults.groupAppends,
    plugins = pgStoreDefaults.plugins,
    logger = pgStoreDefaults.logger,
  } = options;
  if (typeof connection !== "string" && typeof connection !== "function" && !isObject(connection)) {
    throw new InvalidOptionError(
      "Expected `connection` to be a connection string, options of postgres.js or a function that makes its clients, " +
        `got ${connection === null ? "null" : typeof connection}.`,
    );
  }
  checkInteger("max", max, { min: 2, max: 10_000 });
  const maxTransactions = checkInteger("maxTransactions", options.maxTransactions ?? Math.floor(max / 2), {
    max: max - 1,
  });
  return {
    connection,
    tables: resolveTables(options),
    maxTransactions,
    maxStatements: max - maxTransactions,
    prepare,
    notify: notify && resolveNotify(notify),
    election: checkElection(election),
    leaseDurationMs: checkInteger("leaseDurationMs", leaseDurationMs, { min: MIN_LEASE_MS }),
    applicationName:
      applicationName === undefined
        ? APPLICATION_PREFIX
        : `${APPLICATION_PREFIX} ${checkName("applicationName", applicationName, 59)}`,
    statementTimeoutMs: checkInteger("statementTimeoutMs", statementTimeoutMs),
    groupAppends,
    plugins,
    logger,
  };
}

function checkElection(election: ElectionSetting): ElectionSetting {
  if (ELECTIONS.includes(election)) return election;
  throw new InvalidOptionError(
    `Expected \`election\` to be "advisory", "lease" or "auto", got ${JSON.stringify(election)}.`,
  );
}

function resolveNotify({
  channel = DEFAULT_NOTIFY_CHANNEL,
  minIntervalMs = pgStoreDefaults.minIntervalMs,
}: NotifyOptions) {
  return {
    channel: checkIdentifier("notify.channel", channel),
    minIntervalMs: checkInteger("notify.minIntervalMs", minIntervalMs, { max: 60_000 }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
