import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { InvalidOptionError } from "@pup/core";
import postgres, { type Options, type PostgresType, type Sql } from "postgres";

/**
 * How to reach the server: a connection string, or options of postgres.js, with the password as a value or a function.
 * Pools, reconnecting and time-outs are not the caller's here: such options are without effect.
 */
export type ConnectionOptions = string | (Options<Record<string, PostgresType>> & ConnectionExtras);

interface ConnectionExtras {
  /** Connection string; options beside it come first. */
  readonly url?: string | undefined;
  /** Opens a connected socket in place of Node's: for connectors and tunnels. */
  readonly socket?: ((options: object) => Socket | Promise<Socket>) | undefined;
}

/** What a session asks of its client. */
export interface ClientHooks {
  /** A notification arrived. */
  onNotification(channel: string, payload: string): void;
  /** The connection is gone. */
  onClose(): void;
  /** Destroys the socket, whatever state it is in. */
  readonly signal: AbortSignal;
}

/** A server that sessions are opened on. */
export interface Server {
  /** Makes a client for one connection, which is made with its first query and never again. */
  createClient(hooks: ClientHooks): Promise<Sql>;
  /** Makes the next clients for the next of several hosts. */
  tryNextHost(): void;
}

/** The part of postgres.js' parsed options that is used here. */
interface ParsedOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path: string | false;
  readonly pass: unknown;
  readonly connection: object;
  readonly socket: ConnectionExtras["socket"] | null;
}

const APPLICATION_NAME = "pup notify";

/** @throws {@link InvalidOptionError} when postgres.js cannot read the options */
export function toServer(connection: ConnectionOptions): Server {
  const options = parse(connection);
  let hostIndex = 0;

  return {
    tryNextHost() {
      hostIndex = (hostIndex + 1) % options.host.length;
    },
    async createClient({ onNotification, onClose, signal }) {
      // postgres.js would leave the rejection of a password function unhandled.
      const password = typeof options.pass === "function" ? await options.pass() : options.pass;
      // postgres.js is told of one host, because with several it expects to try them all itself.
      const host = options.host[hostIndex] ?? "localhost";
      const port = options.port[hostIndex] ?? options.port[0] ?? 5432;

      let used = false;
      const socket = async () => {
        // postgres.js opens another socket when it has lost one. What listens must never be another session unnoticed.
        if (used) throw new Error("The connection is closed for good.");
        used = true;
        const opened = options.socket ? await options.socket(options) : openSocket(options.path || { host, port });
        return connected(opened, signal);
      };

      const overrides = {
        ...options,
        host: [host],
        port: [port],
        pass: password,
        socket,
        connection: { ...options.connection, application_name: APPLICATION_NAME },
        max: 1,
        idle_timeout: null,
        max_lifetime: null,
        connect_timeout: null,
        // Both ask the server something while connecting, and leave the rejection unhandled when the connection then breaks.
        fetch_types: false,
        target_session_attrs: null,
        prepare: false,
        debug: false,
        onnotice: () => undefined,
        onparameter: undefined,
        onnotify: onNotification,
        onclose: onClose,
        shared: { retries: 0, typeArrayMap: {} },
      };
      // The client takes parsed options as they are: that is how its own `listen` makes a second client.
      return postgres(overrides as unknown as Options<Record<string, PostgresType>>);
    },
  };
}

function parse(connection: ConnectionOptions): ParsedOptions {
  if (typeof connection !== "string" && (typeof connection !== "object" || connection === null)) {
    throw new InvalidOptionError(
      `Expected \`connection\` to be a connection string or options of postgres.js, got ${connection === null ? "null" : typeof connection}.`,
    );
  }
  const { url, ...options } = typeof connection === "string" ? { url: connection } : connection;
  try {
    const client = url === undefined ? postgres(options) : postgres(url, options);
    return client.options as unknown as ParsedOptions;
  } catch {
    // biome-ignore lint/style/useErrorCause: an error about a connection string carries the string, password and all.
    throw new InvalidOptionError(
      "Expected `connection` to be a PostgreSQL connection string or options of postgres.js, got something it cannot read. " +
        "In a connection string, special characters in user name and password have to be percent-encoded.",
    );
  }
}

function openSocket(address: string | { host: string; port: number }): Socket {
  if (typeof address === "string") return connect(address);
  // postgres.js looks for the server's name here when it sets up TLS. An address it keeps from Node, which then compares the
  // certificate with "localhost", unless it finds the address where it notes the names that it has looked up.
  return Object.assign(connect(address), address, { _host: address.host });
}

/** Waits until the socket is connected. Destroys it when the signal aborts, then or later. */
async function connected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  const destroy = () => socket.destroy();
  signal.addEventListener("abort", destroy, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", destroy));
  try {
    signal.throwIfAborted();
    if (socket.connecting) await once(socket, "connect", { signal });
    return socket;
  } catch (error) {
    destroy();
    throw error;
  }
}
