import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What happens to connections.
 *
 * - `"pass"`: bytes go through.
 * - `"swallow"`: connections stay open and nothing arrives any more, as after a cut cable: the half-open socket.
 * - `"drop"`: connections are accepted and closed at once.
 * - `"refuse"`: nobody listens.
 */
export type ProxyMode = "pass" | "swallow" | "drop" | "refuse";

/** Settings of {@link createTcpProxy}. */
export interface TcpProxyOptions {
  /**
   * Changes what the server sends; called for each connection once, gives what is called for each chunk.
   *
   * @defaultValue nothing is changed
   */
  readonly fromServer?: () => (chunk: Buffer) => Buffer;
}

/** Stands between a client and a server, and disturbs them as told. */
export interface TcpProxy {
  /** The server's connection string, through the proxy. */
  readonly url: string;
  readonly port: number;
  /** How many connections are open. */
  readonly open: number;
  /** How many connections have been accepted so far. */
  readonly accepted: number;
  /**
   * Changes what happens. What swallowed bytes once goes on doing so after `"pass"`: it has lost the thread. The other modes
   * end the connections that are open.
   */
  setMode(mode: ProxyMode): Promise<void>;
  /** Delays every chunk in both directions by so many milliseconds, from now on. */
  setLatency(latencyMs: number): void;
  /** Ends all open connections with a reset; new ones are welcome. */
  reset(): void;
  /** Ends everything. Twice is fine. */
  close(): Promise<void>;
}

interface Pair {
  swallows: boolean;
  end(how: "reset" | "close"): void;
}

/**
 * Starts a proxy on a free port of 127.0.0.1.
 *
 * @param serverUrl - connection string of the server
 *
 * @example
 * ```ts
 * const proxy = await createTcpProxy(server.url);
 * const sql = postgres(proxy.url);
 * await proxy.setMode("swallow");
 * ```
 */
export async function createTcpProxy(serverUrl: string, { fromServer }: TcpProxyOptions = {}): Promise<TcpProxy> {
  const target = new URL(serverUrl);
  const pairs = new Set<Pair>();
  let mode: ProxyMode = "pass";
  let latencyMs = 0;
  let accepted = 0;

  const join = (client: Socket) => {
    const server = connect({ host: target.hostname, port: Number(target.port || 5432), noDelay: true });
    const pair: Pair = {
      swallows: mode === "swallow",
      end(how) {
        pairs.delete(pair);
        for (const socket of [client, server]) {
          if (how === "reset") socket.resetAndDestroy();
          else socket.destroy();
        }
      },
    };
    pairs.add(pair);

    const change = fromServer?.() ?? ((chunk: Buffer) => chunk);
    forward(client, server, pair, (chunk) => chunk);
    forward(server, client, pair, change);
  };

  const forward = (from: Socket, to: Socket, pair: Pair, change: (chunk: Buffer) => Buffer) => {
    // A swallowed connection hides its end from the other side, too.
    const later = (act: () => void) => {
      if (pair.swallows) return;
      if (latencyMs === 0) act();
      else setTimeout(act, latencyMs);
    };
    from.on("data", (chunk: Buffer) => later(() => to.writable && to.write(change(chunk))));
    from.on("error", () => undefined);
    from.on("close", () => {
      later(() => pair.end("close"));
      if (from.destroyed && to.destroyed) pairs.delete(pair);
    });
  };

  const listener = createServer({ noDelay: true }, (client) => {
    accepted += 1;
    if (mode === "drop") client.destroy();
    else join(client);
  });
  const listen = async (port: number) => {
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
  };
  const endAll = (how: "reset" | "close") => {
    for (const pair of [...pairs]) pair.end(how);
  };
  const stopListening = async () => {
    if (!listener.listening) return;
    const closed = once(listener, "close");
    listener.close();
    endAll("close");
    await closed;
  };

  await listen(0);
  const { port } = listener.address() as AddressInfo;
  const url = new URL(serverUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);

  return {
    url: url.href,
    port,
    get open() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    async setMode(next) {
      mode = next;
      if (next === "swallow") for (const pair of pairs) pair.swallows = true;
      if (next === "drop") endAll("close");
      if (next === "refuse") await stopListening();
      else if (!listener.listening) await listen(port);
    },
    setLatency(next) {
      latencyMs = next;
    },
    reset: () => endAll("reset"),
    close: async () => {
      await stopListening();
      endAll("close");
    },
  };
}
