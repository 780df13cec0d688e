import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import { recordEvents } from "@pup/testing";
import { startTcpProxy } from "@pup/testing/postgres";
import { describe, expect, inject, it } from "vitest";
import { openParts } from "./support/open-parts.ts";
import { createTrail, trailConsumer } from "./support/trail.ts";

describe("Stopping a worker whose line is half-open", () => {
  it("ends within shutdownTimeoutMs and a few seconds, though a batch is running and nothing can be handed back", async () => {
    await using parts = await openParts(inject("postgresUrl"));
    await createTrail(parts.sql);
    await using proxy = await startTcpProxy(parts.url);
    const store = createPgStore({ connection: proxy.url });
    const begun = Promise.withResolvers<void>();
    const worker = createWorker({
      store,
      dispatcher: createPollDispatcher(),
      assignmentPollMs: 50,
      shutdownTimeoutMs: 1_000,
      consumers: [
        trailConsumer("idle"),
        trailConsumer("skips", { eventTypes: ["Nothing"] }),
        defineConsumer<PgTransaction>({
          name: "busy",
          async handleBatch(_, { tx }) {
            begun.resolve();
            await tx.sql`select pg_sleep(60)`;
          },
        }),
      ],
    });
    const recorded = recordEvents(worker.events);
    const ended = worker.start();
    for (const consumer of ["idle", "skips", "busy"]) {
      await recorded.first("consumer:acquired", (acquired) => acquired.consumer === consumer);
    }
    await parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Placed", payload: {} }]);
    await begun.promise;

    proxy.setHalfOpen(true);
    const stoppedAt = performance.now();
    await worker.stop();
    await ended;

    // Promised are 6 seconds, with room for a slow machine. A statement's own limit is 30 seconds, and several would follow.
    expect(performance.now() - stoppedAt).toBeLessThan(15_000);
    expect(worker.health().state).toBe("stopped");
    await proxy.close();
    await store.close();
  });
});
