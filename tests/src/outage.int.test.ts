import { setTimeout as wait } from "node:timers/promises";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { type PostgresServer, startPostgres } from "@pup/testing/postgres";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

const names = Array.from({ length: 20 }, (_, index) => `consumer ${index}`);

/** Far below what a loop without pauses would write in that time, and far above what the growing pauses let through. */
const FEW_LINES = 45;
const FEW_LINES_OF_ONE_LOOP = 20;

describe("A worker with 20 consumers that listens", () => {
  let server: PostgresServer;
  let parts: Parts;
  let lines: string[];

  beforeEach(async () => {
    server = await startPostgres({ source: "binaries" });
    parts = await openParts(server.url);
    await createTrail(parts.sql);
    lines = [];
  });
  afterEach(async () => {
    await parts[Symbol.asyncDispose]();
    await server.close();
  });

  const start = () => {
    const log = (_: unknown, message: string) => lines.push(message);
    return parts.start({
      dispatcher: createNotifyDispatcher({ connection: parts.url }),
      consumers: names.map((name) => trailConsumer(name)),
      logger: { debug: () => undefined, info: log, warn: log, error: log },
      unhealthyAfterMs: 1_000,
    });
  };
  type Running = ReturnType<typeof start>;

  const append = () =>
    parts.store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "Changed", payload: {} }]);

  const becomesHealthy = ({ worker }: Running) =>
    vi.waitFor(() => expect(worker.health()).toMatchObject({ state: "running", problems: [] }), { timeout: 20_000 });

  const expectAll = async (running: Running, events: number) => {
    await reached(running, parts.store, names, await parts.store.latestPosition());
    for (const name of names) {
      const all = { committed: events, delivered: events, lost: 0, duplicates: 0, outOfOrder: 0 };
      expect(await compareTrail(parts.sql, name)).toEqual(all);
    }
  };

  /** Starts the server again as a standby that follows nobody: it accepts sessions, and refuses to write and to listen. */
  const demote = async () => {
    const [row] = await parts.sql<{ data_directory: string }[]>`show data_directory`;
    await parts.sql.unsafe(`copy (select '') to '${row?.data_directory}/standby.signal'`);
    await server.restart();
  };
  const promote = () => parts.sql`select pg_promote()`;

  it("is unhealthy while the database is away, writes little about it, and goes on by itself", {
    timeout: 60_000,
  }, async () => {
    const running = start();
    await append();
    await expectAll(running, 1);
    lines.length = 0;

    await server.stop();
    await vi.waitFor(
      () =>
        expect(running.worker.health().problems).toEqual([
          expect.stringContaining("It cannot listen"),
          "There is no line to the other workers.",
          "The log cannot be followed.",
        ]),
      { timeout: 20_000 },
    );
    expect(lines.length).toBeLessThan(FEW_LINES);
    await server.start();

    await becomesHealthy(running);
    expect(lines).toContain("listening");
    await append();
    await expectAll(running, 2);
  });

  it("is unhealthy while the database is a standby, writes little about it, and goes on when that is promoted", {
    timeout: 60_000,
  }, async () => {
    const running = start();
    await append();
    await expectAll(running, 1);
    lines.length = 0;

    await demote();
    // Time for thousands of lines, were there no pauses.
    await wait(3_000);
    const { problems, log } = running.worker.health();
    expect(problems).toContainEqual(expect.stringMatching(/It cannot listen: .*recovery/));
    expect(problems).toContain("The log cannot be followed.");
    expect(log.settledPosition).toBeNull();
    expect(lines.length).toBeLessThan(FEW_LINES);

    await promote();
    await becomesHealthy(running);
    await append();
    await expectAll(running, 2);
  });

  it("waits at its start for a standby to be promoted", { timeout: 60_000 }, async () => {
    await append();
    await demote();
    const running = start();
    await vi.waitFor(() => expect(running.worker.health().problems).toContainEqual(expect.stringContaining("start")), {
      timeout: 10_000,
    });
    expect(lines.length).toBeLessThan(FEW_LINES_OF_ONE_LOOP);

    await promote();

    await running.recorded.first("worker:started");
    await expectAll(running, 1);
  });
});
