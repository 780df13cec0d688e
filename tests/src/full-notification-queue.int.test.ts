import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { recordEvents } from "@pup/testing";
import { findBinaries, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

// The queue holds 8 GB, and can be made smaller from PostgreSQL 17 on.
const [newest] = await findBinaries();
const canBeSmall = (newest?.major ?? 0) >= 17;
const unless = canBeSmall ? "" : " (skipped: PostgreSQL 17 is not installed)";

const QUEUE_FULL = "54000";

describe.skipIf(!canBeSmall)(`A notification queue that a forgotten listener has filled${unless}`, () => {
  let server: PostgresServer;
  let parts: Parts;
  let forgotten: Sql;

  beforeEach(async () => {
    server = await startPostgres({
      source: "binaries",
      version: newest?.major ?? 0,
      settings: { max_notify_queue_pages: 64 },
    });
    parts = await openParts(server.url);
    await createTrail(parts.sql);
    forgotten = postgres(parts.url, { max: 1, fetch_types: false });
  });
  afterEach(async () => {
    await forgotten.end({ timeout: 0 });
    await parts[Symbol.asyncDispose]();
    await server.close();
  });

  /** Listens, opens a transaction and leaves it open, while others notify: what they say stays in the queue. @returns its end */
  async function fillQueue(): Promise<() => Promise<void>> {
    await forgotten`listen forgotten`;
    const end = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const ended = forgotten.begin(async (tx) => {
      await tx`select 1`;
      open.resolve();
      await end.promise;
    });
    await open.promise;
    const fill = async () => {
      for (;;) await parts.sql`select pg_notify('forgotten', n || repeat('x', 7000)) from generate_series(1, 20) as n`;
    };
    await expect(fill()).rejects.toMatchObject({ code: QUEUE_FULL });
    return async () => {
      end.resolve();
      await ended;
    };
  }

  it("costs wake-ups, but no append, no event and no take-over", { timeout: 60_000 }, async () => {
    const start = () => {
      const dispatcher = createNotifyDispatcher({
        connection: parts.url,
        reconcileIntervalMs: 50,
        notifyHeartbeatMs: 200,
      });
      return { ...parts.start({ dispatcher, consumers: [trailConsumer("orders")] }), dispatcher };
    };
    const append = () =>
      parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Changed", payload: {} }]);
    const first = start();
    await first.recorded.first("worker:started");

    const empty = await fillQueue();
    await append();
    await reached(first, parts.store, ["orders"], 1n);
    await vi.waitFor(() => expect(first.worker.health().problems).toEqual([expect.stringContaining("NOTIFY queue")]), {
      timeout: 10_000,
    });
    // To be connected is not enough: health must not turn green with every new attempt.
    const told = recordEvents(first.dispatcher.events);
    await told.next("dispatcher:disconnected");
    await told.next("dispatcher:disconnected");
    expect(told.of("dispatcher:connected")).toEqual([]);

    const second = start();
    await first.worker.stop();
    await second.recorded.first("consumer:acquired");
    await append();
    await reached(second, parts.store, ["orders"], 2n);

    // Nobody reads too slowly any more; that alone does not make room.
    await empty();
    await second.recorded.first("worker:started");
    await vi.waitFor(() => expect(second.worker.health()).toMatchObject({ ready: true, leads: true }), {
      timeout: 10_000,
    });
    await append();
    await reached(second, parts.store, ["orders"], 3n);
    expect(await compareTrail(parts.sql, "orders")).toMatchObject({ delivered: 3, lost: 0, duplicates: 0 });
  });
});
