import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Which side of the proxy sent something. */
export type Sender = "client" | "server";

/** What becomes of it: it goes on, it vanishes, or both sides' connection is reset. */
export type Verdict = "pass" | "swallow" | "reset";

/** A line between clients and a server that can be disturbed. */
export interface TcpProxy {
  /** Connection string that leads through the proxy; otherwise that of the server. */
  readonly url: string;
  /** Connections that clients hold open at this moment. */
  readonly connections: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Closes new connections as soon as they are accepted. May be changed at any time. */
  dropNew: boolean;
  /** Time that everything takes in each direction, in milliseconds. May be changed at any time. */
  delayMs: number;
  /** Judges each piece on its way. By default all pass. May be changed at any time. */
  judge: (data: Buffer, from: Sender) => Verdict;
  /**
   * Half-open: connections stay, new ones are accepted, and nothing gets through any more, as when a host vanishes or a
   * firewall forgets the connection. `false` lets new pieces through again.
   */
  setHalfOpen(halfOpen: boolean): void;
  /** Cuts all connections so that both sides see a reset. New ones can be made. */
  reset(): void;
  /** Without listening, connections are cut and new ones refused, as when a server is down. The port stays the same. */
  setListening(listening: boolean): Promise<void>;
  /** Cuts all connections and takes no others. Calling it twice is fine. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a proxy on 127.0.0.1 in front of a server.
 *
 * @param targetUrl connection string of the server
 *
 * @example
 * ```ts
 * const proxy = await startTcpProxy(server.url);
 * // … connect to proxy.url …
 * proxy.setHalfOpen(true);
 * ```
 */
export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  let halfOpen = false;
  let accepted = 0;

  // Half-open: the end of one direction is passed on, as everything else is, and not answered by the proxy itself.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    accepted += 1;
    if (proxy.dropNew) {
      client.destroy();
      return;
    }
    clients.add(client);
    for (const end of ["end", "close"]) client.on(end, () => clients.delete(client));
    const upstream = connect({ port: Number(target.port || 5432), host: target.hostname, allowHalfOpen: true });
    relay(client, upstream, "client");
    relay(upstream, client, "server");
  });
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server.address() as { port: number };
  const url = new URL(targetUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);

  function relay(from: Socket, to: Socket, sender: Sender): void {
    sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (data) => {
      const verdict = halfOpen ? "swallow" : proxy.judge(data, sender);
      if (verdict === "reset") cut(from, to);
      else if (verdict === "pass") afterDelay(() => to.writable && to.write(data));
    });
    from.on("end", () => {
      if (!halfOpen) afterDelay(() => to.end());
    });
    // Resets are what this is for; "close" follows.
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      if (!halfOpen) afterDelay(() => to.destroy());
    });
  }

  function afterDelay(act: () => void): void {
    if (proxy.delayMs > 0) setTimeout(act, proxy.delayMs);
    else act();
  }

  function cut(...ends: Socket[]): void {
    for (const end of ends) end.resetAndDestroy();
  }

  const close = async () => {
    cut(...sockets);
    if (!server.listening) return;
    await once(server.close(), "close");
  };

  const proxy: TcpProxy = {
    url: url.href,
    get connections() {
      return clients.size;
    },
    get accepted() {
      return accepted;
    },
    dropNew: false,
    delayMs: 0,
    judge: () => "pass",
    setHalfOpen(value) {
      halfOpen = value;
    },
    reset: () => cut(...sockets),
    async setListening(listening) {
      if (!listening) await close();
      else if (!server.listening) await listen(port);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}
