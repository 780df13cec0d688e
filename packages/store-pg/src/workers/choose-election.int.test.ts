import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type TestSchema, useSchemas } from "../test-support/open-schema.ts";

const openSchema = useSchemas();
let schema: TestSchema;
beforeEach(async () => {
  schema = await openSchema();
});
afterEach(() => schema[Symbol.asyncDispose]());

/** Connection options with which only the first connection is ever opened. */
function onlyOne() {
  const { hostname, port } = new URL(schema.url);
  let count = 0;
  const socket = () =>
    new Promise<Socket>((resolve) => {
      count += 1;
      if (count > 1) return;
      const opened = connect(Number(port), hostname, () => resolve(opened));
    });
  return { url: schema.url, socket };
}

async function connections(name: string): Promise<number> {
  const rows = await schema.sql`SELECT FROM pg_stat_activity WHERE application_name = ${`pup ${name}`}`;
  return rows.length;
}

describe("Choosing the election", () => {
  it("takes the session's lock on a direct connection, and leaves nothing open but the session", async () => {
    const store = schema.openStore({ election: "auto", applicationName: "looking" });

    const session = await store.openControlSession();

    expect(session.election.driver).toBe("advisory");
    expect(session.election.leaseDurationMs).toBeUndefined();
    await vi.waitFor(async () => expect(await connections("looking")).toBe(1));
  });

  it("looks once: later sessions cost nothing more", async () => {
    const statements: string[] = [];
    const debug = (_: number, query: string) => statements.push(query);
    const store = schema.openStore({ election: "auto", connection: { url: schema.url, debug } });
    await store.openControlSession();
    statements.length = 0;

    await store.openControlSession();

    expect(statements).toEqual([expect.stringContaining("pg_backend_pid")]);
  });

  it("asks nobody when a lease was asked for", async () => {
    const store = schema.openStore({ election: "lease", connection: onlyOne() });

    const { election } = await store.openControlSession();

    expect(election).toMatchObject({ driver: "lease", leaseDurationMs: 10_000 });
  });

  it("takes a lease when it cannot find out in time", async () => {
    const store = schema.openStore({ election: "auto", connection: onlyOne() });

    const { election } = await store.openControlSession();

    expect(election.driver).toBe("lease");
  });

  it("keeps to the lock it was told to take when it cannot find out in time", async () => {
    const store = schema.openStore({ election: "advisory", connection: onlyOne() });

    const { election } = await store.openControlSession();

    expect(election.driver).toBe("advisory");
  });

  it("ends when its caller gives up, and leaves nothing open", async () => {
    const store = schema.openStore({ election: "auto", applicationName: "leaving", connection: onlyOne() });
    const leaving = new AbortController();
    const opening = store.openControlSession({ signal: leaving.signal });
    await vi.waitFor(async () => expect(await connections("leaving")).toBe(1));
    setTimeout(() => leaving.abort(new Error("enough")), 100);

    await expect(opening).rejects.toThrow();

    await vi.waitFor(async () => expect(await connections("leaving")).toBe(0));
  });

  it("looks again when it has failed", async () => {
    let refuse = true;
    const { hostname, port } = new URL(schema.url);
    let count = 0;
    const socket = () =>
      new Promise<Socket>((resolve, reject) => {
        count += 1;
        if (refuse && count === 2) return reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
        const opened = connect(Number(port), hostname, () => resolve(opened));
      });
    const store = schema.openStore({ election: "auto", connection: { url: schema.url, socket } });
    onTestFinished(() => {
      refuse = false;
    });

    await expect(store.openControlSession()).rejects.toMatchObject({ code: "PUP_CONNECTION_FAILED" });

    expect((await store.openControlSession()).election.driver).toBe("advisory");
  });
});
