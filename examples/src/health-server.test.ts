import type { AddressInfo } from "node:net";
import { createWorker, type Worker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createManualClock, createMemoryDispatcher, createMemoryStore } from "@pup/testing";
import { afterEach, describe, expect, it } from "vitest";
import { startHealthServer } from "./health-server.ts";

const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const server of opened.splice(0)) server.close();
});

async function serve(worker: Pick<Worker, "health">) {
  const server = await startHealthServer({ worker, port: 0 });
  opened.push(server);
  const { address, port } = server.address() as AddressInfo;
  const ask = async (path: string) => {
    const response = await fetch(`http://${address}:${port}${path}`);
    return { status: response.status, said: await response.text() };
  };
  return { address, ask };
}

describe("The health server", () => {
  it("says 503 at /healthz, and which loop it is, when one hangs", async () => {
    const clock = createManualClock();
    let hangs = false;
    const store = createMemoryStore({
      clock,
      beforeOperation: (operation) =>
        hangs && operation === "scanPositions" ? new Promise(() => undefined) : undefined,
    });
    const orders = defineConsumer({ name: "orders.v1", handle: () => Promise.resolve() });
    const worker = createWorker({ store, clock, dispatcher: createMemoryDispatcher(store), consumers: [orders] });
    const ended = worker.start();
    await clock.advance(5_000);
    const { ask } = await serve(worker);
    expect(await ask("/healthz")).toMatchObject({ status: 200 });
    expect(await ask("/readyz")).toMatchObject({ status: 200 });

    hangs = true;
    await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Placed", payload: {} }]);
    await clock.advance(120_000);

    for (const path of ["/healthz", "/readyz"]) {
      const { status, said } = await ask(path);
      expect(status).toBe(503);
      expect(JSON.parse(said)).toMatchObject({
        live: false,
        problems: [expect.stringContaining('"log" does not turn')],
      });
    }
    await clock.runUntil(worker.stop());
    await ended;
  });

  it("listens on this machine alone unless told otherwise, and knows no other paths", async () => {
    const worker = createWorker({
      store: createMemoryStore(),
      dispatcher: createMemoryDispatcher(createMemoryStore()),
      consumers: [defineConsumer({ name: "orders.v1", handle: () => Promise.resolve() })],
    });
    const { address, ask } = await serve(worker);

    expect(address).toBe("127.0.0.1");
    expect(await ask("/")).toEqual({ status: 404, said: "" });
  });
});
