import { InvalidOptionError } from "@pup/core";
import postgres, { type Options, type PostgresType, type Sql } from "postgres";
import { teachArrays } from "./array-types.ts";
import type { OpenSocket } from "./line.ts";

/**
 * How to reach the server: a connection string, or options of postgres.js, with the password as a value or a function.
 * Pools, reconnecting, time-outs for idle connections and `transform` are not the caller's here: such options are without
 * effect.
 */
export type ConnectionOptions = string | (Options<Record<string, PostgresType>> & ConnectionExtras);

interface ConnectionExtras {
  /** Connection string; options beside it come first. */
  readonly url?: string | undefined;
  /** Opens a connected socket in place of Node's: for connectors and tunnels. */
  readonly socket?: OpenSocket | undefined;
}

/**
 * Makes a postgres.js client, a new one with each call, with the overrides spread last:
 * `(overrides) => postgres(url, { types, ...overrides })`.
 */
export type ClientFactory = (overrides: ClientOverrides) => Sql;

/** What a session needs its client to be. */
export interface ClientOverrides extends Options<Record<string, PostgresType>> {
  readonly socket: OpenSocket;
}

/** What differs from client to client. */
export interface ClientHooks {
  readonly socket: OpenSocket;
  readonly onClose: () => void;
  readonly onNotice: (notice: postgres.Notice) => void;
}

/** Makes the clients of sessions. Nothing is connected before the first query. */
export type OpenClient = (hooks: ClientHooks) => Sql;

export interface ClientSettings {
  readonly connection: ConnectionOptions | ClientFactory;
  readonly prepare: boolean | undefined;
  readonly applicationName: string;
}

// Probes start after this silence and come once a second; ten without an answer end the connection.
const KEEP_ALIVE_SECONDS = 15;

/**
 * @throws {@link InvalidOptionError} when postgres.js does not take the options, or the factory did not use the overrides
 */
export function createClientOpener({ connection, prepare, applicationName }: ClientSettings): OpenClient {
  const factory = typeof connection === "function" ? connection : factoryOf(connection);
  const known = new WeakSet<Sql>();

  return ({ socket, onClose, onNotice }) => {
    const overrides: ClientOverrides = {
      socket,
      // One connection, which neither idleness nor age may end in the middle of a transaction.
      max: 1,
      idle_timeout: undefined,
      max_lifetime: null,
      // Types are asked for while connecting, where a kill becomes an unhandled rejection.
      fetch_types: false,
      // Our own statements read their columns by name.
      transform: undefined,
      keep_alive: KEEP_ALIVE_SECONDS,
      ...(prepare !== undefined && { prepare }),
      onclose: onClose,
      onnotice: onNotice,
    };
    const client = factory(overrides);
    if (known.has(client) || !isMadeWith(client, overrides)) {
      throw new InvalidOptionError(
        "Expected the client factory to make a new client with each call and to spread the overrides last: " +
          "`(overrides) => postgres(url, { ...options, ...overrides })`.",
      );
    }
    known.add(client);
    client.options.connection.application_name = applicationName;
    teachArrays(client);
    return client;
  };
}

function factoryOf(connection: ConnectionOptions): ClientFactory {
  const { url, ...options } = typeof connection === "string" ? { url: connection } : connection;
  return (overrides) => {
    try {
      return url === undefined ? postgres({ ...options, ...overrides }) : postgres(url, { ...options, ...overrides });
    } catch {
      // biome-ignore lint/style/useErrorCause: an error about a connection string carries the string, password and all.
      throw new InvalidOptionError(
        "Expected `connection` to be a PostgreSQL connection string or options of postgres.js, got something it cannot read. " +
          "In a connection string, special characters in user name and password have to be percent-encoded.",
      );
    }
  };
}

function isMadeWith(client: Sql, overrides: ClientOverrides): boolean {
  const options = client.options as unknown as Partial<Record<keyof ClientOverrides, unknown>>;
  return (["socket", "max", "max_lifetime", "fetch_types", "onclose"] as const).every(
    (name) => options[name] === overrides[name],
  );
}
