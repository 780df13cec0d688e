import type { Sql } from "postgres";
import { describe, expect, it, vi } from "vitest";
import type { Query } from "./query.ts";
import { createSession } from "./session.ts";

/** A query as postgres.js makes them, as far as a session looks at it. */
function fakeQuery(sentTo: number | null = 7) {
  let settle: Pick<Query, "resolve" | "reject"> | undefined;
  const promise = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  return Object.assign(promise, settle, { state: sentTo === null ? null : { pid: sentTo } }) as unknown as Query;
}

/** A session whose client only notes what it is to execute. */
function fakeSession() {
  const executed: Query[] = [];
  let hangUp: () => void = () => undefined;
  const session = createSession({
    openSocket: undefined,
    onNotice: () => undefined,
    openClient({ onClose }) {
      hangUp = onClose;
      return { unsafe: () => ({ handler: (query: Query) => executed.push(query) }) } as unknown as Sql;
    },
  });
  return { session, executed, hangUp: () => hangUp() };
}

const error = (facts: object) => Object.assign(new Error("x"), facts);

describe("A session", () => {
  it("knows its backend from the statement that is under way", () => {
    const { session } = fakeSession();
    expect(session.pid).toBeUndefined();

    session.send(fakeQuery(42));

    expect(session.pid).toBe(42);
    expect(session.busy).toBe(true);
  });

  it("tells the query and its sender of an answer, once", async () => {
    const { session, executed } = fakeSession();
    const onSettled = vi.fn();
    const query = fakeQuery();

    session.send(query, onSettled);
    executed[0]?.resolve(["row"]);
    executed[0]?.reject(new Error("too late"));

    await expect(query).resolves.toEqual(["row"]);
    expect(onSettled.mock.calls).toEqual([[]]);
    expect(session.busy).toBe(false);
  });

  it("survives what the server says of a statement", async () => {
    const { session, executed } = fakeSession();
    const duplicate = error({ code: "23505", severity: "ERROR" });
    const [one, two] = [fakeQuery(), fakeQuery()];
    session.send(one);
    session.send(two);

    executed[0]?.reject(duplicate);

    await expect(one).rejects.toBe(duplicate);
    expect(session.loss).toBeUndefined();
    expect(session.busy).toBe(true);
  });

  it("is lost for all when one of its queries learns of it", async () => {
    const { session, executed } = fakeSession();
    const queries = [fakeQuery(), fakeQuery(), fakeQuery(null)];
    const onLost = vi.fn();
    session.watch(onLost);
    for (const query of queries) session.send(query);

    executed[1]?.reject(error({ code: "ECONNRESET" }));

    const reasons = await Promise.all(queries.map((query) => query.catch((reason: unknown) => reason)));
    expect(new Set(reasons)).toEqual(new Set([session.loss]));
    expect(session.loss).toMatchObject({ code: "PUP_CONNECTION_LOST", cause: { code: "ECONNRESET" } });
    expect(onLost.mock.calls).toEqual([[session.loss]]);
  });

  it("sends nothing once it is lost", async () => {
    const { session, executed, hangUp } = fakeSession();
    session.send(fakeQuery());
    executed[0]?.resolve([]);
    hangUp();
    const query = fakeQuery();

    session.send(query);

    await expect(query).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
    expect(executed).toHaveLength(1);
  });

  it("was never opened when its first query is refused unsent, by whatever name", async () => {
    const { session, executed } = fakeSession();
    const query = fakeQuery(null);
    session.send(query);

    executed[0]?.reject(error({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" }));

    await expect(query).rejects.toMatchObject({
      code: "PUP_CONNECTION_FAILED",
      cause: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" },
    });
    expect(session.loss).toMatchObject({ code: "PUP_CONNECTION_FAILED" });
  });

  it("ends when a query fails on this side while others are under way", async () => {
    const { session, executed } = fakeSession();
    const undefinedValue = error({ code: "UNDEFINED_VALUE" });
    const queries = [fakeQuery(), fakeQuery()];
    for (const query of queries) session.send(query);

    executed[0]?.reject(undefinedValue);

    for (const query of queries) await expect(query).rejects.toBe(undefinedValue);
    expect(session.loss).toBe(undefinedValue);
  });

  it("goes on when the only query under way fails on this side", async () => {
    const { session, executed } = fakeSession();
    const query = fakeQuery();
    session.send(query);

    executed[0]?.reject(error({ code: "UNDEFINED_VALUE" }));

    await expect(query).rejects.toMatchObject({ code: "UNDEFINED_VALUE" });
    expect(session.loss).toBeUndefined();
  });

  it("is lost for the reason that it was doomed for", async () => {
    const { session, executed, hangUp } = fakeSession();
    const reason = new Error("took too long");
    const [running, late] = [fakeQuery(), fakeQuery()];
    session.send(running);

    session.doom(reason);
    session.send(late);
    hangUp();

    await expect(running).rejects.toBe(reason);
    await expect(late).rejects.toBe(reason);
    expect(session.loss).toBe(reason);
    expect(executed).toHaveLength(1);
  });
});
