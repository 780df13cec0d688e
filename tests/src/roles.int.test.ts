import { randomUUID } from "node:crypto";
import { createWorker } from "@pup/coordinator";
import type { ControlSession, ElectionDriver, Leadership, RecordedEvent } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import type { PgStore, PgStoreOptions } from "@pup/store-pg";
import { recordEvents } from "@pup/testing";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { documentedRights, openRoles, type RoleName, type Roles, SCHEMA } from "./support/open-roles.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

let roles: Roles;
beforeAll(async () => {
  roles = await openRoles(inject("postgresUrl"));
  await createTrail(roles.admin);
  await roles.admin.unsafe(`GRANT SELECT, INSERT ON trail TO ${roles.nameOf("pup_worker")}`);
});
afterAll(() => roles[Symbol.asyncDispose]());

/** An event of an aggregate that no other test has. */
function newEvent(aggregateId: string = randomUUID()) {
  return { aggregateType: "Order", aggregateId, type: "OrderPlaced", payload: { cents: 1 } };
}

/** Runs one statement as the role. Rejects with what the server says. */
async function say(role: RoleName, statement: string): Promise<unknown> {
  const sql = postgres(roles.urlOf(role), { max: 1, connection: { search_path: SCHEMA } });
  try {
    return await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

const refused = { code: "42501", message: expect.stringMatching(/^permission denied/) };

describe("The appender", () => {
  let store: PgStore;
  beforeEach(() => {
    store = roles.openStore("pup_appender", { notify: { channel: "appended" } });
  });

  it("appends with every rule, finds a repetition, and reads the stream", async () => {
    const event = { ...newEvent(), id: randomUUID() };
    await store.append([event], { expectedVersion: "no-stream" });
    await store.append([newEvent(event.aggregateId)], { expectedVersion: 1 });
    await store.append([newEvent(event.aggregateId)]);

    expect(await store.append([event])).toMatchObject({ duplicate: true, toVersion: 1 });
    expect(await store.readStream(event)).toMatchObject({ version: 3, length: 3 });
  });

  it("appends in a caller's transaction, with ids and without, whatever carries it", async () => {
    const { aggregateId } = newEvent();
    const event = () => ({ ...newEvent(aggregateId), id: randomUUID() });
    const sql = postgres(roles.urlOf("pup_appender"), { max: 1 });
    await sql.begin((tx) => store.append([event()], { tx, expectedVersion: "no-stream" }));
    await sql.begin((tx) => store.append([event()], { tx, expectedVersion: 1 }));
    await sql.end();
    await store.transaction((tx) => store.append([newEvent(aggregateId)], { tx }));

    expect(await store.readStream(newEvent(aggregateId))).toMatchObject({ version: 3 });
  });

  it("wakes workers, after its own commits and with the caller's", async () => {
    const heard: string[] = [];
    const { promise: heardTwice, resolve } = Promise.withResolvers<void>();
    const { unlisten } = await roles.admin.listen("appended", (payload) => {
      if (heard.push(payload) === 2) resolve();
    });
    await store.append([newEvent()]);
    await store.transaction((tx) => store.append([newEvent()], { tx }));

    await heardTwice;
    await unlisten();
  });

  it.each([
    "UPDATE events SET payload = '{}'",
    "DELETE FROM events",
    "TRUNCATE events",
    "BEGIN; LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE",
    "SELECT setval(pg_get_serial_sequence('events', 'global_position'), 1)",
    "DELETE FROM aggregate_heads",
    "SELECT last_position FROM consumer_checkpoints",
    "UPDATE consumer_checkpoints SET last_position = 0",
    "INSERT INTO consumer_checkpoints (consumer_name, last_position) VALUES ('orders', 0)",
    "DELETE FROM worker_nodes",
    "CREATE TABLE more ()",
  ])("may not say %s", async (statement) => {
    await expect(say("pup_appender", statement)).rejects.toMatchObject(refused);
  });

  it.each(["global_position", "created_at"])("may not choose what the database decides: %s", async (column) => {
    const value = column === "created_at" ? "now()" : "1000000";
    const statement = `
      INSERT INTO events (
        ${column}, event_id, aggregate_version, event_version, bucket, event_type, aggregate_type, aggregate_id, payload
      ) OVERRIDING SYSTEM VALUE VALUES (${value}, '${randomUUID()}', 1, 1, 0, 'Forged', 'Order', 'forged', '{}')`;

    await expect(say("pup_appender", statement)).rejects.toMatchObject(refused);
  });

  it("is told what it lacks when it is to run consumers", async () => {
    const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [trailConsumer("refused")] });

    await expect(worker.start()).rejects.toMatchObject({
      code: "PUP_RIGHTS_MISSING",
      message: expect.stringMatching(/permission denied for table pup_migrations.*docs\/roles\.md/),
    });
  });
});

describe("The worker", () => {
  it.each([
    ["poll", "advisory"],
    ["poll", "lease"],
    ["notify", "advisory"],
    ["notify", "lease"],
  ] as const)("runs consumers with %s and %s, and writes what they write", async (dispatch, election) => {
    const name = `${dispatch}-${election}`;
    const appender = roles.openStore("pup_appender", { notify: {} });
    const store = roles.openStore("pup_worker", { election, notify: {} });
    const connection = roles.urlOf("pup_worker");
    const dispatcher = dispatch === "notify" ? createNotifyDispatcher({ connection }) : createPollDispatcher();
    const consumers = [trailConsumer(name), trailConsumer(`${name} from head`, { startFrom: "head" })];
    const worker = createWorker({ store, dispatcher, consumers, assignmentPollMs: 50 });
    const recorded = recordEvents(worker.events);
    const running = worker.start();
    await recorded.first("consumer:acquired", ({ consumer }) => consumer === name);
    const { events } = await appender.append(
      [newEvent(), newEvent()].map((event) => ({ ...event, aggregateId: name })),
    );

    const { globalPosition } = events[1]!;
    await recorded.first("batch:committed", (batch) => batch.consumer === name && batch.position >= globalPosition);
    await worker.stop();
    await running;

    expect(await compareTrail(roles.admin, name)).toMatchObject({ lost: 0, duplicates: 0, outOfOrder: 0 });
  });

  it.each([
    "INSERT INTO events (event_id) VALUES (NULL)",
    "UPDATE events SET payload = '{}'",
    "DELETE FROM events",
    "TRUNCATE events",
    "INSERT INTO aggregate_heads VALUES ('Order', 'order-1', 1)",
    "DELETE FROM consumer_checkpoints",
    "DELETE FROM leader_lease",
    "UPDATE pup_migrations SET version = 0",
    "CREATE TABLE more ()",
  ])("may not say %s", async (statement) => {
    await expect(say("pup_worker", statement)).rejects.toMatchObject(refused);
  });

  it("cannot append, and is told why", async () => {
    const store = roles.openStore("pup_worker");

    await expect(store.append([newEvent()])).rejects.toMatchObject({
      code: "PUP_RIGHTS_MISSING",
      message: expect.stringMatching(/permission denied for table .*docs\/roles\.md/),
    });
  });

  it("appends as well once it is an appender too", async () => {
    const url = await roles.addLogin("pup_worker");
    await roles.admin.unsafe(`GRANT ${roles.nameOf("pup_appender")} TO ${new URL(url).username}`);
    const store = roles.openStore("pup_worker", { connection: url });

    await store.checkSchema();
    expect(await store.append([newEvent()])).toMatchObject({ toVersion: 1 });
  });
});

/** A consumer whose owner has begun a batch and is not heard of any more, and one that is to have it instead. */
async function freezeOwner(owner: PgStore, heir: PgStore) {
  const consumer = `frozen ${randomUUID()}`;
  const [ownerId, heirId] = [randomUUID(), randomUUID()];
  const session = await heir.openControlSession();
  await session.register({ workerId: heirId, consumers: [consumer] });
  await heir.createCheckpoint(consumer, 0n);
  const request = {
    consumer,
    claim: "unowned",
    graceMs: 30_000,
    batchTimeoutMs: 30_000,
    heartbeatTimeoutMs: 30_000,
  } as const;
  const acquired = await owner.acquire({ ...request, workerId: ownerId });
  if (acquired.outcome !== "acquired") throw new Error(`Expected the consumer, got ${acquired.outcome}.`);
  const thawed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const batch = {
    consumer,
    epoch: acquired.epoch,
    from: 0n,
    to: 1n,
    timeoutMs: 600_000,
    signal: new AbortController().signal,
  };
  const outcome = owner
    .runBatch(batch, () => {
      begun.resolve();
      return thawed.promise;
    })
    .then(
      () => "committed",
      (error: { code?: string }) => error.code,
    );
  await begun.promise;
  // Nobody has registered the owner, so it counts as dead.
  const takeOver = () => heir.acquire({ ...request, claim: "unowned", workerId: heirId });
  return { takeOver, outcome, thaw: thawed.resolve };
}

/** A leader that holds the lock and has not been heard of for an hour, and a worker that notices. */
async function silenceLeader(leading: PgStore, next: PgStore) {
  const [leader, follower] = [await leading.openControlSession(), await next.openControlSession()];
  const ids = [randomUUID(), randomUUID()] as const;
  for (const [index, session] of [leader, follower].entries()) {
    await session.register({ workerId: ids[index]!, consumers: [] });
    await session.sync({ workerId: ids[index]!, beat: true, heartbeatTimeoutMs: 30_000 });
  }
  await leadWith(leader);
  await roles.admin`UPDATE worker_nodes SET heartbeat_at = now() - interval '50 minutes' WHERE worker_id = ${ids[0]}`;
  return { leader, follower, leaderId: ids[0] };
}

/** The session of a test before may still be on its way out. */
async function leadWith({ election }: ControlSession): Promise<Leadership> {
  for (;;) {
    const leadership = await election.tick();
    if (leadership) return leadership;
  }
}

describe("A frozen worker's sessions", () => {
  const advisory: Partial<PgStoreOptions> = { election: "advisory" };

  it("are ended by a worker of the same role: the batch that keeps a checkpoint", async () => {
    const { takeOver, outcome } = await freezeOwner(roles.openStore("pup_worker"), roles.openStore("pup_worker"));

    expect(await takeOver()).toMatchObject({ outcome: "acquired" });
    expect(await outcome).toBe("PUP_CONNECTION_LOST");
  });

  it("are ended by a worker of the same role: the leader's", async () => {
    const stores = [roles.openStore("pup_worker", advisory), roles.openStore("pup_worker", advisory)] as const;
    const { leader, follower } = await silenceLeader(...stores);

    await leadWith(follower);
    // The server frees the lock before the other side can hear of it.
    await vi.waitFor(() => expect(leader.lost.aborted).toBe(true), 10_000);
    await Promise.all(stores.map((store) => store.close()));
  });

  it("are let alone by a worker of another role, which waits and fails at nothing", async () => {
    const other = await roles.addLogin("pup_worker");
    const owner = roles.openStore("pup_worker", { connection: other, ...advisory });
    const heir = roles.openStore("pup_worker", advisory);
    const { takeOver, outcome, thaw } = await freezeOwner(owner, heir);
    expect(await takeOver()).toMatchObject({ outcome: "held" });
    thaw();
    expect(await outcome).toBe("committed");
    expect(await takeOver()).toMatchObject({ outcome: "acquired" });

    const { leader, follower, leaderId } = await silenceLeader(owner, heir);
    // One look makes it a suspect, the next would end it.
    for (const _ of Array(3)) expect(await follower.election.tick()).toBeNull();
    await leader.holdLivenessLock(leaderId);
    expect(await follower.holdLivenessLock(leaderId)).toBe(false);
    expect(leader.lost.aborted).toBe(false);
    await Promise.all([owner.close(), heir.close()]);
  });

  it("are ended by a worker of another role that is a member of theirs", async () => {
    const url = await roles.addLogin("pup_worker");
    const heir = roles.openStore("pup_worker", { connection: url });
    const { takeOver, outcome } = await freezeOwner(roles.openStore("pup_worker"), heir);

    // The login is a member of the role that it has its rights from.
    expect(await takeOver()).toMatchObject({ outcome: "acquired" });
    expect(await outcome).toBe("PUP_CONNECTION_LOST");
  });
});

/** Does all that an appender does. */
async function workAsAppender(): Promise<void> {
  const store = roles.openStore("pup_appender");
  try {
    const event = { ...newEvent(), id: randomUUID(), metadata: {}, traceId: "t", correlationId: "c", causationId: "c" };
    await store.append([event]);
    await store.append([newEvent(event.aggregateId)], { expectedVersion: 1 });
    await store.append([event]);
    await store.transaction((tx) => store.append([{ ...event, id: randomUUID() }], { tx }));
    await store.readStream(event);
  } finally {
    await store.close();
  }
}

/** Does all that a worker does, but for its first look at the tables. */
async function workAsWorker(election: ElectionDriver): Promise<void> {
  const store = roles.openStore("pup_worker", { election, notify: {}, leaseDurationMs: 2_000 });
  try {
    const [workerId, consumer] = [randomUUID(), randomUUID()];
    const session = await store.openControlSession();
    await session.register({ workerId, consumers: [consumer] });
    await session.sync({ workerId, beat: true, heartbeatTimeoutMs: 30_000 });
    await session.holdLivenessLock(workerId);
    const leadership = await leadWith(session);
    await session.observeWorkers();
    await session.survey();
    await session.assign(leadership, { assignments: new Map([[consumer, workerId]]), dead: [] });
    await session.assign(leadership, { assignments: new Map(), dead: [] });

    const settled = await store.latestPosition();
    await store.scanPositions(0n);
    await store.missingPositions(0n, settled);
    await store.inFlightAppenders();
    await store.firstPositionSince(new Date(0));
    await store.createCheckpoint(consumer, 0n);
    const request = {
      consumer,
      workerId,
      claim: "unowned",
      graceMs: 30_000,
      batchTimeoutMs: 30_000,
      heartbeatTimeoutMs: 30_000,
    } as const;
    const acquired = await store.acquire(request);
    if (acquired.outcome !== "acquired") throw new Error(`Expected the consumer, got ${acquired.outcome}.`);
    const { epoch } = acquired;
    const page = await store.readLog({ after: 0n, upTo: settled, limit: 10, maxBytes: 10_000 });
    const [event] = (await page.events()) as [RecordedEvent];
    const { signal } = new AbortController();
    await store.runBatch({ consumer, epoch, from: 0n, to: 1n, timeoutMs: 10_000, signal }, async (_, letters) => {
      await letters.put([{ event, parked: false, failure: null }]);
    });
    await store.listDeadLetters({ consumer });
    await store.retryDeadLetters({ consumer });
    await store.nextDueDeadLetter(consumer);
    await store.discardDeadLetters({ consumer });
    await store.advance([{ consumer, epoch, position: 2n }]);
    await store.readCheckpoints([consumer]);
    await store.greatestCheckpoint();
    await store.release([{ consumer, epoch }]);
    await session.deregister(workerId);
    await session.election.resign();
  } finally {
    await store.close();
  }
}

describe("The documented rights", () => {
  const rights = documentedRights();

  async function without(right: (typeof rights)[number], work: () => Promise<void>): Promise<void> {
    const { admin } = roles;
    const role = roles.nameOf(right.role);
    await admin.unsafe(`REVOKE ${right.right} ON ${right.on} FROM ${role}`);
    try {
      await work();
    } finally {
      await admin.unsafe(`GRANT ${right.right} ON ${right.on} TO ${role}`);
    }
  }

  it("are enough", async () => {
    await workAsAppender();
    await workAsWorker("advisory");
    await workAsWorker("lease");
  });

  it.each(rights.filter(({ role }) => role === "pup_appender"))(
    "are needed: $role has $right on $on",
    async (right) => {
      await without(right, () => expect(workAsAppender()).rejects.toMatchObject({ code: "PUP_RIGHTS_MISSING" }));
    },
  );

  it.each(rights.filter(({ role }) => role === "pup_worker"))(
    "are needed, and missed at the start: $role has $right on $on",
    async (right) => {
      const isForStart = right.on.endsWith("pup_migrations");
      const store = roles.openStore("pup_worker");
      await without(right, async () => {
        await expect(store.checkSchema()).rejects.toMatchObject({ code: "PUP_RIGHTS_MISSING" });
        if (!isForStart) await expect(workAsWorker("advisory")).rejects.toThrow("permission denied");
      });
      await store.checkSchema();
    },
  );

  it("are all named at once when several are missing", async () => {
    const store = roles.openStore("pup_worker");
    const worker = roles.nameOf("pup_worker");
    const [insert, nodes] = [`INSERT ON ${SCHEMA}.leader_lease`, `UPDATE, DELETE ON ${SCHEMA}.worker_nodes`];
    await roles.admin.unsafe(`REVOKE ${insert} FROM ${worker}; REVOKE ${nodes} FROM ${worker}`);

    const error: Error = await store.checkSchema().catch((reason) => reason);
    await roles.admin.unsafe(`GRANT ${insert} TO ${worker}; GRANT ${nodes} TO ${worker}`);
    expect(error.message).toContain(
      `role "${worker}" to have what a worker needs, but it lacks UPDATE, DELETE on "pup"."worker_nodes"; ` +
        'INSERT on "pup"."leader_lease"',
    );
  });
});
