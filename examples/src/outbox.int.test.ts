import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createWorker } from "@pup/coordinator";
import type { RecordedEvent } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";
import { createDatabase } from "@pup/testing/postgres";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createForwarder, send } from "./forward-to-redis.ts";

const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasRedis) console.warn("Skips the outbox: there is no redis-server here (apt-get install redis-server).");

let server: ChildProcess;
let url: string;

async function connect() {
  return await createClient({ url }).connect();
}

describe.skipIf(!hasRedis)("Events forwarded to Redis", () => {
  beforeAll(async () => {
    const reserved = createServer().listen(0, "127.0.0.1");
    await once(reserved, "listening");
    const { port } = reserved.address() as AddressInfo;
    reserved.close();
    server = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    url = `redis://127.0.0.1:${port}`;
    for await (const text of server.stdout?.setEncoding("utf8") ?? []) {
      if (text.includes("Ready to accept connections")) break;
    }
  });

  afterAll(async () => {
    server.kill("SIGKILL");
    await once(server, "close");
  });

  const event = (position: bigint) =>
    ({ globalPosition: position, id: `id-${position}`, type: "Sent", payload: {} }) as RecordedEvent;

  it("are refused from an owner that has been replaced, however late it wakes up", async () => {
    const redis = await connect();
    const to = { redis, stream: "fenced" };
    expect(await send(to, event(1n), 1)).toBe("added");
    expect(await send(to, event(2n), 2)).toBe("added"); // Taken over.

    // The old owner had been frozen in the middle of its batch, and goes on.
    expect(await send(to, event(2n), 1)).toBe("stale");
    expect(await send(to, event(3n), 1)).toBe("stale");
    expect(await redis.xLen("fenced")).toBe(2);

    const handle = createForwarder({ ...to, aggregateTypes: ["Any"] });
    expect("handle" in handle && handle.handle).toBeTypeOf("function");
    if (!("handle" in handle) || !handle.handle) return;
    const context = { epoch: 1, signal: new AbortController().signal } as Parameters<typeof handle.handle>[1];
    await expect(handle.handle(event(3n), context)).rejects.toThrow("Epoch 1 has been replaced.");
    await redis.close();
  });

  it("arrive once though the same message is sent again, as after a lost answer", async () => {
    const redis = await connect();
    const to = { redis, stream: "repeated" };
    expect([await send(to, event(1n), 1), await send(to, event(1n), 1), await send(to, event(1n), 2)]).toEqual([
      "added",
      "known",
      "known",
    ]);
    expect(await redis.xLen("repeated")).toBe(1);
    await redis.close();
  });

  it("arrive all, in order, with their positions as ids", async () => {
    const database = await createDatabase(inject("postgresUrl"));
    await migrate({ connection: database.url });
    const store = createPgStore({ connection: database.url });
    const redis = await connect();
    const order = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "Placed", payload: { id } });
    for (const id of ["o-1", "o-2", "o-3"]) await store.append([order(id)]);
    const forwarder = createForwarder({ redis, stream: "orders", aggregateTypes: ["Order"] });
    await createWorker({ store, dispatcher: createPollDispatcher(), consumers: [forwarder] }).runOnce();

    const messages = (await redis.xRange("orders", "-", "+")) ?? [];
    expect(messages.map(({ id, message }) => [id, JSON.parse(message.payload ?? "").id])).toEqual([
      ["1-0", "o-1"],
      ["2-0", "o-2"],
      ["3-0", "o-3"],
    ]);
    await Promise.all([redis.close(), store.close()]);
    await database.drop();
  });
});
