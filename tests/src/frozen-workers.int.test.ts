import { startTcpProxy } from "@pup/testing/postgres";
import { describe, expect, inject, it, vi } from "vitest";
import { type LabWorker, type LabWorkerConfig, startLabWorker } from "./support/lab-worker.ts";
import { openParts, type Parts } from "./support/open-parts.ts";
import { compareTrail, createTrail } from "./support/trail.ts";

/** Shortened, but for the time of a batch: nothing that the server ends by itself may help. */
const options = {
  heartbeatIntervalMs: 500,
  heartbeatTimeoutMs: 4_000,
  rebalanceIntervalMs: 1_000,
  electionIntervalMs: 100,
  livenessIntervalMs: 100,
  assignmentPollMs: 100,
  shutdownTimeoutMs: 30_000,
  batchTimeoutMs: 60_000,
};

/** Shortened too: connections that were cut off are found out by it, and only then the victim is back with all it has. */
const STATEMENT_TIMEOUT_MS = 5_000;

/** What is promised. */
const TAKEN_OVER_MS = options.heartbeatTimeoutMs + options.rebalanceIntervalMs + 1_000;
/** For a machine that has much else to do; far less than what would end a blocker otherwise. */
const ROOM_MS = 15_000;

const consumers = ["orders", "invoices"];

interface Case {
  readonly role: "follower" | "leader";
  readonly fault: "frozen" | "cut off";
  readonly work?: "statement" | "result";
  readonly election?: "advisory" | "lease";
}

const cases: readonly (readonly [string, Case])[] = [
  ["an idle follower that is frozen", { role: "follower", fault: "frozen" }],
  [
    "a follower that is frozen while a statement of its handler runs",
    { role: "follower", fault: "frozen", work: "statement" },
  ],
  ["a follower that is frozen while its handler reads 100 MB", { role: "follower", fault: "frozen", work: "result" }],
  ["a leader by lock that is frozen", { role: "leader", fault: "frozen", election: "advisory" }],
  ["a leader by lease that is frozen", { role: "leader", fault: "frozen", election: "lease" }],
  ["a leader by lock that is cut off", { role: "leader", fault: "cut off", election: "advisory" }],
  ["a leader by lease that is cut off", { role: "leader", fault: "cut off", election: "lease" }],
];

describe.concurrent(`At ${JSON.stringify(options)}`, () => {
  it.each(cases)(
    "%s is replaced in time, writes nothing afterwards and rejoins",
    { timeout: 120_000 },
    async (_, given) => {
      await using parts = await openParts(inject("postgresUrl"));
      await createTrail(parts.sql);
      await using lab = await openLab(parts, given);
      const { victim, survivor } = lab;
      const [orphan] = await owned(parts, victim);
      const [checkpoint] = await parts.store.readCheckpoints([orphan ?? ""]);
      await append(parts);
      if (given.work) await untilDwelling(parts, victim);
      else await untilEmitted(victim, "batch:committed", orphan);

      const strokeAt = performance.now();
      lab.strike();
      if (given.work === "result") await untilStuckInSending(parts, victim);
      await untilEmitted(survivor, "consumer:acquired", orphan);
      expect(performance.now() - strokeAt).toBeLessThan(TAKEN_OVER_MS + ROOM_MS);
      await append(parts);
      await untilReached(parts);

      lab.heal();
      await untilEmitted(victim, "worker:rejoined");
      await vi.waitFor(async () => expect(await owned(parts, victim)).toHaveLength(1), WAIT);
      await append(parts);
      await untilReached(parts);
      for (const consumer of consumers) {
        expect(await compareTrail(parts.sql, consumer)).toEqual({
          committed: 3,
          delivered: 3,
          lost: 0,
          duplicates: 0,
          outOfOrder: 0,
        });
      }
      const committed = victim.recorded
        .of("batch:committed")
        .filter((batch) => batch.epoch === checkpoint?.epoch && batch.consumer === orphan);
      expect(committed).toHaveLength(given.work ? 0 : 1);
      // Also of what it had asked on lines that were cut off.
      await vi.waitFor(async () => {
        for (const worker of [victim, survivor]) expect((await worker.report()).health).toEqual([]);
      }, WAIT);
    },
  );
});

const WAIT = { timeout: 30_000, interval: 20 };

/** Waits for an event, of the consumer if one is named. What has come instead is told when it does not come. */
async function untilEmitted(
  { recorded }: LabWorker,
  name: "batch:committed" | "consumer:acquired" | "worker:rejoined",
  consumer?: string,
): Promise<void> {
  const told = () => recorded.all.map((event) => [event.name, "consumer" in event.payload && event.payload.consumer]);
  await vi.waitFor(() => expect(told()).toContainEqual([name, consumer ?? false]), WAIT);
}

/** Two workers that share the consumers; one of them is the victim, on a line of its own. */
async function openLab(parts: Parts, { role, fault, work, election }: Case) {
  const proxies = [await startTcpProxy(parts.url), await startTcpProxy(parts.url)];
  const config = (url: string): LabWorkerConfig => ({
    url,
    consumers,
    options,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    ...(work && { work }),
    ...(election && { election }),
  });
  const workers = await Promise.all(proxies.map(({ url }) => startLabWorker(config(url))));
  await vi.waitFor(async () => {
    for (const worker of workers) expect(await owned(parts, worker)).toHaveLength(1);
    expect(workers.filter(({ leads }) => leads)).toHaveLength(1);
  }, WAIT);
  const index = workers.findIndex(({ leads }) => leads === (role === "leader"));
  const [victim, survivor] = [workers[index], workers[1 - index]] as [LabWorker, LabWorker];
  return {
    victim,
    survivor,
    strike: () => (fault === "frozen" ? victim.freeze() : proxies[index]?.setHalfOpen(true)),
    heal: () => (fault === "frozen" ? victim.thaw() : proxies[index]?.setHalfOpen(false)),
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}

async function append({ store }: Parts): Promise<void> {
  const aggregateId = crypto.randomUUID();
  await store.append([{ aggregateType: "Order", aggregateId, type: "Placed", payload: {} }]);
}

async function owned({ sql }: Parts, { workerId }: LabWorker): Promise<readonly string[]> {
  const rows = await sql<{ name: string }[]>`
    select consumer_name as name from consumer_checkpoints where owner_id = ${workerId}`;
  return rows.map(({ name }) => name);
}

async function untilReached({ store }: Parts): Promise<void> {
  const head = await store.latestPosition();
  await vi.waitFor(async () => {
    const checkpoints = await store.readCheckpoints(consumers);
    expect(checkpoints.map(({ position }) => position)).toEqual([head, head]);
  }, WAIT);
}

/** Until a handler of the worker's is where it dwells. */
function untilDwelling({ sql }: Parts, { applicationName }: LabWorker): Promise<void> {
  return vi.waitFor(
    async () => {
      const sessions = await sql`
        select from pg_stat_activity
        where application_name = ${applicationName} and query like '%dwelling%' and state = 'active'`;
      expect(sessions).toHaveLength(1);
    },
    { timeout: 30_000, interval: 1 },
  );
}

/** No time-out of the server's ends what is stuck in sending to a client that reads no more. */
function untilStuckInSending({ sql }: Parts, { applicationName }: LabWorker): Promise<void> {
  return vi.waitFor(async () => {
    const [session] = await sql`
      select wait_event from pg_stat_activity where application_name = ${applicationName} and query like '%dwelling%'`;
    expect(session?.wait_event).toBe("ClientWrite");
  }, WAIT);
}
