import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** What is needed of postgres.js' parsed options to open a socket. */
export interface LineOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** Path of a Unix socket, instead of host and port. */
  readonly path?: string | false | undefined;
  /** In seconds; 0 for no limit. */
  readonly connect_timeout: number;
  /** The password, or what fetches it. */
  pass: unknown;
}

/** Opens a connected socket, as the option `socket` of postgres.js does: for connectors and tunnels. */
export type OpenSocket = (options: LineOptions) => Socket | Promise<Socket>;

/** The one way from a client to the server. */
export interface Line {
  /** Given to postgres.js as its option `socket`. */
  readonly open: OpenSocket;
  /** Cuts the line at once and for good, whatever state it is in. */
  readonly cut: () => void;
}

/**
 * A line that is laid once.
 *
 * postgres.js opens another socket when it has lost one, and sends on it what still waited in its queue: the second half of
 * a transaction then runs, and stays, without the first. Here it gets no other one. (Each of several hosts is tried once;
 * after one has let us in, the session counts as lost before postgres.js asks again.)
 *
 * @param onRefused - told why there is no socket: with several hosts postgres.js does not tell its queries
 */
export function createLine(openSocket: OpenSocket | undefined, onRefused: (reason: unknown) => void): Line {
  const cut = new AbortController();
  let socket: Socket | undefined;
  let attempts = 0;

  async function lay(options: LineOptions): Promise<Socket> {
    await fetchPassword(options);
    if (openSocket !== undefined) return attempts++ === 0 ? openSocket(options) : refuse();
    let failure: unknown;
    while (attempts < options.host.length) {
      const index = attempts++;
      try {
        return await connectTo(options, index, cut.signal);
      } catch (error) {
        failure = error;
      }
    }
    return refuse(failure);
  }

  return {
    async open(options) {
      const timer = cutAfter(options.connect_timeout, cut);
      try {
        socket = await untilCut(lay(options), cut.signal);
        return socket;
      } catch (error) {
        onRefused(error);
        // Not the same one: postgres.js writes the values of its queries on the errors that it gets.
        throw new Error("There is no line to the server.", { cause: error });
      } finally {
        clearTimeout(timer);
      }
    },
    cut() {
      cut.abort();
      socket?.destroy();
    },
  };
}

/** In place of postgres.js, which would leave the rejection of a password function unhandled. */
async function fetchPassword(options: LineOptions): Promise<void> {
  if (typeof options.pass === "function") options.pass = String(await options.pass());
}

async function connectTo({ host, port, path }: LineOptions, index: number, signal: AbortSignal): Promise<Socket> {
  const address = { host: host[index] ?? "localhost", port: port[index] ?? port[0] ?? 5432 };
  const socket = connect(path ? { path } : address);
  try {
    await once(socket, "connect", { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  // postgres.js gathers what it writes by itself.
  socket.setNoDelay(true);
  // It looks for the server's name here when it sets up TLS. An address it keeps from Node, which then compares the certificate
  // with "localhost", unless it finds the address where it notes the names that it has looked up.
  return Object.assign(socket, address, { _host: address.host });
}

function cutAfter(seconds: number, cut: AbortController): NodeJS.Timeout | undefined {
  if (!(seconds > 0)) return undefined;
  return setTimeout(
    () => cut.abort(new Error(`Expected a connection within ${seconds} s (connect_timeout).`)),
    seconds * 1000,
  );
}

/** The socket, or the reason of the cut; a socket that comes too late is closed. */
async function untilCut(laying: Promise<Socket>, signal: AbortSignal): Promise<Socket> {
  const cut = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([laying, cut]);
  } catch (error) {
    laying.then(
      (late) => late.destroy(),
      () => undefined,
    );
    throw error;
  }
}

function refuse(reason?: unknown): never {
  throw reason ?? new Error("No host is left to try: a session connects once.");
}
