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
  /** Connections open at this moment. */
  readonly connections: number;
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
  let halfOpen = false;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    relay(client, upstream, "client");
    relay(upstream, client, "server");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(targetUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as { port: number }).port);

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

  let closed: Promise<unknown> | undefined;
  const close = async () => {
    closed ??= once(server.close(), "close");
    cut(...sockets);
    await closed;
  };

  const proxy: TcpProxy = {
    url: url.href,
    get connections() {
      return sockets.size / 2;
    },
    delayMs: 0,
    judge: () => "pass",
    setHalfOpen(value) {
      halfOpen = value;
    },
    reset: () => cut(...sockets),
    close,
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}
