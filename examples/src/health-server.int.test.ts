import type { AddressInfo } from "node:net";
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate } from "@pup/store-pg";
import { type PostgresServer, startPostgres } from "@pup/testing/postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startHealthServer } from "./health-server.ts";

interface Answer {
  readonly live: boolean;
  readonly problems: readonly string[];
  readonly log: { readonly settledPosition: string | null };
  readonly consumers: readonly object[];
}

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({ source: "binaries" });
  await migrate({ connection: server.url });
});

afterAll(() => server.close());

/** A worker with its health server. What stands in `failing` cannot be handled. */
async function start(failing: ReadonlySet<string>) {
  const store = createPgStore({ connection: server.url });
  const orders = defineConsumer({
    name: "orders.v1",
    maxConsecutiveFailures: 2,
    handle({ aggregateId }) {
      if (failing.has(aggregateId)) throw new Error(`Cannot handle ${aggregateId}.`);
    },
  });
  const worker = createWorker({
    store,
    dispatcher: createPollDispatcher(),
    consumers: [orders],
    unhealthyAfterMs: 500,
    assignmentPollMs: 50,
  });
  const ended = worker.start();
  const health = await startHealthServer({ worker, port: 0 });
  const { port } = health.address() as AddressInfo;
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, ...((await response.json()) as Answer) };
  };
  return {
    store,
    ask,
    /** Waits until both probes get these answers. */
    becomes: (live: number, ready: number) =>
      vi.waitFor(
        async () => expect([(await ask("/healthz")).status, (await ask("/readyz")).status]).toEqual([live, ready]),
        { timeout: 20_000, interval: 50 },
      ),
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await ended;
      health.close();
      await store.close();
    },
  };
}

const order = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "Placed", payload: {} });

describe("The probes of a worker", () => {
  it("are green, /readyz is red while the database is away and /healthz never, and green again by themselves", async () => {
    await using worker = await start(new Set());
    await worker.becomes(200, 200);

    await server.stop();
    await worker.becomes(200, 503);
    await vi.waitFor(
      async () => {
        const { problems, log } = await worker.ask("/readyz");
        expect(problems).toContain("The log cannot be followed.");
        expect(log).toMatchObject({ settledPosition: null });
      },
      { timeout: 20_000 },
    );
    await worker.becomes(200, 503);

    await server.start();
    await worker.becomes(200, 200);
  });

  it("show a consumer that has stopped, and what stopped it", async () => {
    await using worker = await start(new Set(["o-2"]));
    await worker.becomes(200, 200);
    await worker.store.append([order("o-1")]);
    await worker.store.append([order("o-2")]);

    await worker.becomes(200, 503);
    const { live, problems, consumers } = await worker.ask("/readyz");
    expect(live).toBe(true);
    expect(problems).toEqual([expect.stringContaining('Consumer "orders.v1" has stopped at position 1')]);
    expect(consumers).toMatchObject([{ state: "failed", lag: "1", lastError: { message: "Cannot handle o-2." } }]);
  });
});
