import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

describe("createTcpProxy", () => {
  let echo: Server;
  let proxy: TcpProxy;
  let clients: Socket[];
  let atServer: Socket[];

  beforeEach(async () => {
    clients = [];
    atServer = [];
    echo = createServer((socket) => {
      atServer.push(socket);
      socket.on("error", () => undefined);
      socket.pipe(socket);
    });
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    proxy = await createTcpProxy(`postgres://user:secret@127.0.0.1:${(echo.address() as AddressInfo).port}/db`);
  });
  afterEach(async () => {
    for (const socket of [...clients, ...atServer]) socket.destroy();
    await proxy.close();
    await proxy.close();
    echo.close();
  });

  const open = async () => {
    const socket = connect({ port: proxy.port, host: "127.0.0.1" });
    clients.push(socket);
    socket.on("error", () => undefined);
    await once(socket, "connect");
    return socket;
  };
  const ask = async (socket: Socket, text: string) => {
    const answer = once(socket, "data");
    socket.write(text);
    return String((await answer)[0]);
  };

  it("keeps everything of the connection string but the address", () => {
    expect(proxy.url).toBe(`postgres://user:secret@127.0.0.1:${proxy.port}/db`);
  });

  it("lets bytes through, both ways", async () => {
    expect(await ask(await open(), "hello")).toBe("hello");
    expect(proxy).toMatchObject({ open: 1, accepted: 1 });
  });

  it("delays bytes both ways", async () => {
    const socket = await open();
    await ask(socket, "first");
    proxy.setLatency(30);
    const sentAtMs = performance.now();

    expect(await ask(socket, "second")).toBe("second");
    expect(performance.now() - sentAtMs).toBeGreaterThanOrEqual(55);
  });

  it("keeps connections open while it swallows, and those stay deaf afterwards", async () => {
    const deaf = await open();
    await ask(deaf, "hello");
    await proxy.setMode("swallow");
    let heard = "";
    deaf.on("data", (chunk) => {
      heard += chunk;
    });
    deaf.write("lost");
    const swallowed = await open();
    swallowed.write("lost too");

    await proxy.setMode("pass");
    const fresh = await open();

    expect(await ask(fresh, "heard")).toBe("heard");
    expect(heard).toBe("");
    expect(deaf.readyState).toBe("open");
    expect(swallowed.readyState).toBe("open");
  });

  it("closes what it accepts, when it is to drop", async () => {
    const before = await open();
    await ask(before, "hello");
    const closed = once(before, "close");

    await proxy.setMode("drop");
    await closed;
    const socket = await open();
    await once(socket, "close");

    expect(proxy.open).toBe(0);
  });

  it("lets nobody in, when it is to refuse, and takes the same port again", async () => {
    await proxy.setMode("refuse");
    await expect(open()).rejects.toMatchObject({ code: "ECONNREFUSED" });

    await proxy.setMode("pass");

    expect(await ask(await open(), "hello")).toBe("hello");
  });

  it("resets connections, and lets new ones in", async () => {
    const socket = await open();
    await ask(socket, "hello");
    const failed = once(socket, "error");

    proxy.reset();

    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
    expect(await ask(await open(), "again")).toBe("again");
  });

  it("tells the one side when the other one ends", async () => {
    const socket = await open();
    await ask(socket, "hello");
    const ended = once(atServer[0] as Socket, "close");

    socket.end();

    await ended;
    await once(socket, "close");
    expect(proxy.open).toBe(0);
  });
});
