import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

describe("A TCP proxy", () => {
  let echo: Server;
  let proxy: TcpProxy;
  const clients: Socket[] = [];

  beforeEach(async () => {
    echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(0, "127.0.0.1");
    await once(echo, "listening");
    proxy = await startTcpProxy(`postgres://user@127.0.0.1:${(echo.address() as { port: number }).port}/db`);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
    echo.close();
  });

  async function open(): Promise<Socket> {
    const client = connect(Number(new URL(proxy.url).port), "127.0.0.1").on("error", () => {});
    clients.push(client);
    await once(client, "connect");
    return client;
  }

  async function answer(client: Socket, text: string): Promise<string> {
    client.write(text);
    const [data] = await once(client, "data");
    return String(data);
  }

  /** `once` would take the error before it for a failure. */
  function closed(client: Socket): Promise<void> {
    return new Promise((resolve) => client.on("close", () => resolve()));
  }

  it("keeps user and database of the connection string", () => {
    expect(proxy.url).toMatch(/^postgres:\/\/user@127\.0\.0\.1:\d+\/db$/);
  });

  it("passes everything on, both ways", async () => {
    expect(await answer(await open(), "hello")).toBe("hello");
  });

  it("takes its time when told to", async () => {
    const client = await open();
    proxy.delayMs = 40;
    const startedAt = performance.now();

    await answer(client, "slow");

    expect(performance.now() - startedAt).toBeGreaterThan(75);
  });

  it("swallows what it is told to", async () => {
    const client = await open();
    const judge = vi.fn((data: Buffer) => (String(data) === "secret" ? ("swallow" as const) : ("pass" as const)));
    proxy.judge = judge;
    client.write("secret");
    await vi.waitFor(() => expect(judge).toHaveBeenCalled());

    expect(await answer(client, "public")).toBe("public");
  });

  it("resets the connection in the middle when told to", async () => {
    const client = await open();
    proxy.judge = (_, from) => (from === "server" ? "reset" : "pass");
    client.write("lost");

    await closed(client);

    expect(client.errored).toMatchObject({ code: "ECONNRESET" });
  });

  it("lets nothing through when half-open, and keeps the connections", async () => {
    const client = await open();
    await answer(client, "before");
    proxy.setHalfOpen(true);
    const heard = vi.fn();
    client.on("data", heard);
    client.write("into the void");
    const late = await open();

    proxy.setHalfOpen(false);
    expect(await answer(late, "again")).toBe("again");
    expect(heard).not.toHaveBeenCalled();
    expect(client.destroyed).toBe(false);
  });

  it("resets all connections at once, and takes new ones", async () => {
    const [one, other] = [await open(), await open()];
    await Promise.all([answer(one, "1"), answer(other, "2")]);
    expect(proxy.connections).toBe(2);

    proxy.reset();

    await Promise.all([closed(one), closed(other)]);
    expect(await answer(await open(), "new")).toBe("new");
  });

  it("closes new connections when told to, and counts them", async () => {
    proxy.dropNew = true;
    await closed(await open());

    expect(proxy).toMatchObject({ accepted: 1, connections: 0 });
  });

  it("refuses connections while it does not listen, and takes the same port again", async () => {
    const client = await open();
    await answer(client, "before");
    await proxy.setListening(false);
    await expect(open()).rejects.toMatchObject({ code: "ECONNREFUSED" });

    await proxy.setListening(true);

    expect(await answer(await open(), "again")).toBe("again");
  });
});
