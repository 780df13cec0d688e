import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { startTcpProxy } from "@pup/testing/postgres";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { expectNoCrash, openSessionLab, outcomeOf, type SessionLab } from "../test-support/session-lab.ts";

describe("A session that cannot be opened", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
  });
  afterAll(() => lab.close());

  const withUrl = (change: (url: URL) => void) => {
    const url = new URL(lab.url);
    change(url);
    return url.href;
  };
  it("is told to everyone who wanted one: nobody listens", async () => {
    const sessions = lab.open({ connection: withUrl((url) => Object.assign(url, { port: "1" })) });

    for (const attempt of [
      () => sessions.sql`select 1`,
      () => sessions.transaction((tx) => tx.sql`select 1`),
      () => sessions.openSession(),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "PUP_CONNECTION_FAILED", cause: { code: "ECONNREFUSED" } });
    }
  });

  it("is told with the server's reason: no such database", async () => {
    const sessions = lab.open({ connection: withUrl((url) => Object.assign(url, { pathname: "/nowhere" })) });

    await expect(sessions.sql`select 1`).rejects.toMatchObject({
      code: "PUP_CONNECTION_FAILED",
      cause: { code: "3D000" },
    });
  });

  it("is told with the server's reason: too many connections", async () => {
    const role = `limited_${process.pid}`;
    await lab.admin.unsafe(`create role ${role} login password 'limited' connection limit 1`);
    onTestFinished(async () => {
      await expect
        .poll(async () => (await lab.admin`select from pg_stat_activity where usename = ${role}`).length)
        .toBe(0);
      await lab.admin.unsafe(`drop role ${role}`);
    });
    const sessions = lab.open({
      connection: withUrl((url) => Object.assign(url, { username: role, password: "limited" })),
    });

    await sessions.transaction(async () => {
      await expect(sessions.sql`select 1`).rejects.toMatchObject({
        code: "PUP_CONNECTION_FAILED",
        cause: { code: "53300" },
      });
    });
    await sessions.close();
  });

  // From the server come a request for the password, its proof, the settings of the session, and the answer to BEGIN.
  it.each([
    [1, "PUP_CONNECTION_FAILED"],
    [2, "PUP_CONNECTION_FAILED"],
    [3, "PUP_CONNECTION_FAILED"],
    [4, "PUP_CONNECTION_LOST"],
  ])("is not tried again by itself when it is cut at the server's piece %i", async (piece, code) => {
    expectNoCrash();
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    let pieces = 0;
    let connections = 0;
    proxy.judge = (_, from) => {
      if (from === "server") pieces += 1;
      else if (pieces === 0) connections += 1;
      return from === "server" && pieces === piece ? "reset" : "pass";
    };
    const sessions = lab.open({ connection: proxy.url, maxTransactions: 1 });

    expect(await outcomeOf(sessions.transaction((tx) => tx.sql`select 1`))).toBe(code);
    expect(connections).toBe(1);

    await expect(sessions.transaction((tx) => tx.sql`select 1 as one`)).resolves.toEqual([{ one: 1 }]);
  });

  it("is not tried again by itself when the other side hangs up without a word", async () => {
    expectNoCrash();
    const callers: Socket[] = [];
    const mute = createServer((socket) => callers.push(socket.end())).listen(0, "127.0.0.1");
    onTestFinished(() => void mute.close());
    await once(mute, "listening");
    const { port } = mute.address() as { port: number };
    const sessions = lab.open({ connection: `postgres://nobody@127.0.0.1:${port}/nowhere` });

    expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_CONNECTION_FAILED");
    expect(callers).toHaveLength(1);
  });

  it("is told when the server cannot do TLS", async () => {
    expectNoCrash();
    const [row] = await lab.admin`show ssl`;
    expect(row).toEqual({ ssl: "off" });
    const sessions = lab.open({ connection: { url: lab.url, ssl: "require" } });

    expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_CONNECTION_FAILED");
  });

  it("takes no longer than connect_timeout", async () => {
    const proxy = await startTcpProxy(lab.url);
    onTestFinished(() => proxy.close());
    proxy.setHalfOpen(true);
    const sessions = lab.open({ connection: { url: proxy.url, connect_timeout: 0.1 } });

    expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_CONNECTION_FAILED");
  });

  it("is told when the password cannot be had, and does not end the process", async () => {
    expectNoCrash();
    const { hostname: host, port, pathname, username } = new URL(lab.url);
    const sessions = lab.open({
      connection: {
        host,
        port: Number(port),
        database: pathname.slice(1),
        username,
        password: async () => {
          throw new Error("the vault is closed");
        },
      },
    });

    await expect(sessions.sql`select 1`).rejects.toMatchObject({
      code: "PUP_CONNECTION_FAILED",
      cause: { message: "the vault is closed" },
    });
  });
});

describe("A session", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
  });
  afterAll(() => lab.close());

  it("asks a password function anew for each connection", async () => {
    const { password } = new URL(lab.url);
    let asked = 0;
    const sessions = lab.open({
      connection: {
        url: lab.url.replace(`:${password}@`, "@"),
        password: async () => {
          asked += 1;
          return password;
        },
      },
    });

    await sessions.sql`select 1`;
    await sessions.transaction((tx) => tx.sql`select 1`);

    expect(asked).toBe(2);
  });

  it("goes through the socket that the options give", async () => {
    const { connect } = await import("node:net");
    const { hostname, port } = new URL(lab.url);
    let opened = 0;
    const sessions = lab.open({
      connection: {
        url: lab.url,
        async socket() {
          opened += 1;
          const socket = connect(Number(port), hostname);
          await once(socket, "connect");
          return socket;
        },
      },
    });

    expect(await sessions.sql`select 1 as one`).toEqual([{ one: 1 }]);
    expect(opened).toBe(1);
  });

  it("tries the hosts one after the other", async () => {
    const { hostname, port, username, password, pathname } = new URL(lab.url);
    const sessions = lab.open({
      connection: `postgres://${username}:${password}@127.0.0.1:1,${hostname}:${port}${pathname}`,
    });

    expect(await sessions.sql`select 1 as one`).toEqual([{ one: 1 }]);
    await expect(
      lab.open({ connection: `postgres://u:p@127.0.0.1:1,127.0.0.1:2/d` }).sql`select 1`,
    ).rejects.toMatchObject({
      code: "PUP_CONNECTION_FAILED",
    });
  });

  it("comes from a factory of clients, if that makes them as it is told", async () => {
    const { default: postgres } = await import("postgres");
    const sessions = lab.open({ connection: (overrides) => postgres(lab.url, { max: 10, ...overrides }) });

    expect(await sessions.sql`select current_setting('application_name') as name, array[1, 2] as list`).toEqual([
      { name: "pup session lab", list: [1, 2] },
    ]);

    const shared = postgres(lab.url);
    for (const factory of [() => shared, (overrides: object) => postgres(lab.url, { ...overrides, max: 10 })]) {
      expect(() => lab.open({ connection: factory })).toThrow(
        expect.objectContaining({
          code: "PUP_INVALID_OPTION",
          message: expect.stringContaining("spread the overrides last"),
        }),
      );
    }
    await shared.end();
  });

  it("is refused to everyone when the factory gives a client twice", async () => {
    expectNoCrash();
    const { default: postgres } = await import("postgres");
    const clients: Sql[] = [];
    // The first one is asked for at once, to see whether it can be had.
    const sessions = lab.open({
      connection(overrides) {
        const client = clients[0] ?? postgres(lab.url, overrides);
        clients.push(client);
        return client;
      },
    });

    expect(await outcomeOf(sessions.sql`select 1`)).toBe("PUP_INVALID_OPTION");
    expect(await outcomeOf(sessions.transaction((tx) => tx.sql`select 1`))).toBe("PUP_INVALID_OPTION");
    expect(await outcomeOf(sessions.openSession())).toBe("PUP_INVALID_OPTION");
  });

  it("reads its columns under their own names, whatever `transform` says", async () => {
    const { default: postgres } = await import("postgres");
    const sessions = lab.open({ connection: { url: lab.url, transform: postgres.camel } });

    expect(await sessions.sql`select 1 as some_column`).toEqual([{ some_column: 1 }]);
  });
});
