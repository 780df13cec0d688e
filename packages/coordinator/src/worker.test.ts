import { type PupError, StartAbortedError, sleep, UnsupportedError } from "@pup/core";
import { createManualDispatcher } from "@pup/testing";
import { describe, expect, it, vi } from "vitest";
import { createFleet, handledBy, noteHandled, orderPlaced, recorder } from "../test/fleet.ts";
import { createWorker } from "./create-worker.ts";

const sixConsumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];

describe("One worker", () => {
  it("hands every event to each of its consumers, once and in order", async () => {
    const fleet = createFleet();
    for (let i = 0; i < 250; i++) await fleet.append(`o-${i}`);
    const worker = fleet.start(sixConsumers.map((name) => recorder(name)));
    await fleet.clock.advance(2_000);
    for (let i = 250; i < 300; i++) await fleet.append(`o-${i}`);
    await fleet.clock.advance(100);

    const expected = Array.from({ length: 300 }, (_, i) => `o-${i}`);
    for (const name of sixConsumers) expect(handledBy(fleet.store, name)).toEqual(expected);
    await fleet.stop(worker);
  });

  it("gives a consumer only what is in its scope, and moves its checkpoint over the rest", async () => {
    const fleet = createFleet();
    const worker = fleet.start([
      recorder("invoices", { aggregateTypes: ["Invoice"] }),
      recorder("paid", { eventTypes: ["Paid"] }),
      recorder("invoices paid", { aggregateTypes: ["Invoice"], eventTypes: ["Paid"] }),
    ]);
    await fleet.append("o-1");
    await fleet.append("i-1", { aggregateType: "Invoice", type: "Drafted" });
    await fleet.append("i-2", { aggregateType: "Invoice", type: "Paid" });
    await fleet.append("o-2", { type: "Paid" });
    await fleet.append("o-3");
    await fleet.clock.advance(3_000);

    expect(handledBy(fleet.store, "invoices")).toEqual(["i-1", "i-2"]);
    expect(handledBy(fleet.store, "paid")).toEqual(["i-2", "o-2"]);
    expect(handledBy(fleet.store, "invoices paid")).toEqual(["i-2"]);
    const checkpoints = await fleet.store.readCheckpoints(["invoices", "paid", "invoices paid"]);
    expect(checkpoints.map(({ position }) => position)).toEqual([5n, 5n, 5n]);
    await fleet.stop(worker);
  });

  it("resumes from the checkpoint after a restart", async () => {
    const fleet = createFleet();
    const before = fleet.start([recorder("orders")]);
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);
    await fleet.stop(before);
    await fleet.append("o-2");
    const after = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1", "o-2"]);
    await fleet.stop(after);
  });

  it("tells once how leaders are elected", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    for (const session of member.connection.controlSessions) session.kill();
    await fleet.clock.advance(5_000);

    expect(member.recorded.of("worker:disconnected")).toHaveLength(1);
    const { id } = member.worker;
    expect(member.recorded.of("leader:election-chosen")).toEqual([{ workerId: id, driver: "advisory" }]);
    await fleet.stop(member);
  });

  it("does not start where a lease would run out between two ticks", async () => {
    const fleet = createFleet();
    const store = {
      ...fleet.store,
      async openControlSession() {
        const session = await fleet.store.openControlSession();
        return { ...session, election: { ...session.election, leaseDurationMs: 1_499 } };
      },
    };
    const worker = createWorker({
      store,
      dispatcher: createManualDispatcher(),
      clock: fleet.clock,
      consumers: [recorder("orders")],
    });

    await expect(worker.start()).rejects.toMatchObject({
      code: "PUP_INVALID_OPTION",
      message: expect.stringMatching(/`electionIntervalMs` to fit 3 times into .*`leaseDurationMs` \(1499\), got 500/),
    });
  });

  it("wakes an idle consumer at once", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(60_000);
    await fleet.append("o-1");
    await fleet.clock.settle();

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("finds events without any wake-up within the longest poll interval", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")], { dispatcher: createManualDispatcher() });
    await fleet.clock.advance(300_000);
    await fleet.append("o-1");
    await fleet.clock.advance(30_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("gives whole batches to handleBatch, of the size asked for", async () => {
    const fleet = createFleet();
    for (let i = 0; i < 25; i++) await fleet.append(`o-${i}`);
    const sizes: number[] = [];
    const worker = fleet.start([
      {
        name: "bulk",
        batchSize: 10,
        handleBatch: async (events, { tx }) => {
          sizes.push(events.length);
          for (const event of events) await noteHandled(tx, "bulk", event);
        },
      },
    ]);
    await fleet.clock.advance(1_000);

    expect(sizes).toEqual([10, 10, 5]);
    expect(handledBy(fleet.store, "bulk")).toHaveLength(25);
    await fleet.stop(worker);
  });

  it("runs a consumer without a transaction, and saves its checkpoint after the batch", async () => {
    const fleet = createFleet();
    const sent: unknown[] = [];
    const worker = fleet.start([
      {
        name: "mails",
        transaction: "none",
        handle: (event, context) => sent.push([event.aggregateId, "tx" in context, context.epoch]),
      },
    ]);
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);

    expect(sent).toEqual([["o-1", false, 1]]);
    expect(await fleet.store.readCheckpoints(["mails"])).toMatchObject([{ position: 1n }]);
    await fleet.stop(worker);
  });

  it("leaves nothing behind when it has stopped", async () => {
    const fleet = createFleet();
    const worker = fleet.start(sixConsumers.map((name) => recorder(name, { aggregateTypes: ["Order"] })));
    await fleet.append("o-1");
    await fleet.clock.advance(10_000);
    await fleet.append("out of scope", { aggregateType: "Invoice" });
    await fleet.clock.settle();
    await fleet.stop(worker);
    await worker.ended;

    expect(fleet.clock.pending).toBe(0);
    expect(worker.connection.controlSessions).toEqual([]);
    const checkpoints = await fleet.store.readCheckpoints(sixConsumers);
    expect(checkpoints.map(({ ownerId }) => ownerId)).toEqual(sixConsumers.map(() => null));
    const session = await fleet.store.openControlSession();
    expect(await session.survey()).toEqual({ workers: [], statuses: [], assignments: new Map() });
    expect(worker.worker.health()).toMatchObject({ state: "stopped", ready: false });
  });
});

describe("Where a consumer starts", () => {
  async function handledFrom(startFrom: "beginning" | "head" | bigint | ((at: Date) => Date)) {
    const fleet = createFleet();
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);
    const [second] = (await fleet.append("o-2")).events;
    await fleet.append("o-3");
    const worker = fleet.start([
      recorder("late", {
        startFrom: typeof startFrom === "function" ? startFrom(second?.createdAt as Date) : startFrom,
      }),
    ]);
    await fleet.clock.advance(1_000);
    await fleet.append("o-4");
    await fleet.clock.advance(1_000);
    const failed = worker.recorded.of("consumer:failed");
    await fleet.stop(worker);
    return { handled: handledBy(fleet.store, "late"), failed };
  }

  it("is the beginning, the head, a position or a time", async () => {
    expect((await handledFrom("beginning")).handled).toEqual(["o-1", "o-2", "o-3", "o-4"]);
    expect((await handledFrom("head")).handled).toEqual(["o-4"]);
    expect((await handledFrom(1n)).handled).toEqual(["o-2", "o-3", "o-4"]);
    expect((await handledFrom((at) => at)).handled).toEqual(["o-2", "o-3", "o-4"]);
    expect((await handledFrom((at) => new Date(at.getTime() + 1))).handled).toEqual(["o-4"]);
  });

  it("is the head of the log also while an append is open that began before the worker", async () => {
    const fleet = createFleet();
    await fleet.append("o-1");
    const open = await fleet.store.begin();
    await fleet.store.append([orderPlaced("open")], { tx: open.tx });
    await fleet.append("o-2");
    const worker = fleet.start([recorder("late", { startFrom: "head" }), recorder("from 1", { startFrom: 1n })]);
    await fleet.clock.advance(5_000);
    await open.commit();
    await fleet.clock.advance(1_000);
    await fleet.append("o-3");
    await fleet.clock.advance(1_000);

    expect(worker.recorded.of("consumer:failed")).toEqual([]);
    expect(handledBy(fleet.store, "late")).toEqual(["o-3"]);
    expect(handledBy(fleet.store, "from 1")).toEqual(["open", "o-2", "o-3"]);
    await fleet.stop(worker);
  });

  it("cannot lie beyond the head", async () => {
    const { handled, failed } = await handledFrom(4n);

    expect(handled).toEqual([]);
    expect(failed).toMatchObject([{ consumer: "late", error: { code: "PUP_INVALID_OPTION" } }]);
  });
});

describe("The settled position", () => {
  it("keeps consumers from passing a position whose transaction is open", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    const open = await fleet.store.begin();
    await fleet.store.append([orderPlaced("held back")], { tx: open.tx });
    await fleet.append("later");
    await fleet.clock.advance(60_000);
    expect(handledBy(fleet.store, "orders")).toEqual([]);
    expect(worker.recorded.of("log:held-up")).not.toEqual([]);

    await open.commit();
    await fleet.clock.advance(50);

    expect(handledBy(fleet.store, "orders")).toEqual(["held back", "later"]);
    await fleet.stop(worker);
  });

  it("blames nobody for holes that follow each other without a pause", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    const begin = async (i: number) => {
      const open = await fleet.store.begin();
      await fleet.store.append([orderPlaced(`slow-${i}`)], { tx: open.tx });
      await fleet.append(`fast-${i}`);
      return open;
    };
    let open = await begin(0);
    for (let i = 1; i <= 200; i++) {
      await fleet.clock.advance(100);
      const next = await begin(i);
      await open.commit();
      open = next;
    }
    await open.commit();
    await fleet.clock.advance(100);

    expect(handledBy(fleet.store, "orders")).toHaveLength(402);
    expect(worker.recorded.of("log:held-up")).toEqual([]);
    await fleet.stop(worker);
  });

  it("passes what was rolled back, and tells it once", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.append("first");
    await fleet.clock.advance(1_000);
    const open = await fleet.store.begin();
    await fleet.store.append([orderPlaced("a"), orderPlaced("a")], { tx: open.tx });
    await fleet.append("later");
    await open.rollback();
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["first", "later"]);
    expect(worker.recorded.of("log:gaps-closed")).toMatchObject([{ ranges: [{ first: 2n, last: 3n }] }]);
    await fleet.stop(worker);
  });

  it("waits for a prepared transaction too", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    const open = await fleet.store.begin();
    await fleet.store.append([orderPlaced("prepared")], { tx: open.tx });
    await fleet.append("later");
    await fleet.clock.advance(100);
    await open.prepare();
    await fleet.clock.advance(60_000);
    expect(handledBy(fleet.store, "orders")).toEqual([]);

    await open.commit();
    await fleet.clock.advance(100);

    expect(handledBy(fleet.store, "orders")).toEqual(["prepared", "later"]);
    await fleet.stop(worker);
  });

  it("is found anew after a restart of the server", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.append("first");
    await fleet.clock.advance(1_000);
    const open = await fleet.store.begin();
    await fleet.store.append([orderPlaced("prepared")], { tx: open.tx });
    await open.prepare();
    await fleet.append("later");
    await fleet.clock.advance(100);
    fleet.store.restart({ crash: true });
    await fleet.clock.advance(60_000);
    expect(handledBy(fleet.store, "orders")).toEqual(["first"]);

    await open.commit();
    await fleet.clock.advance(1_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["first", "prepared", "later"]);
    await fleet.stop(worker);
  });

  it("does not move on a standby", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    await fleet.append("o-1", {});
    await fleet.clock.advance(1_000);
    fleet.store.setRecovering(true);
    await fleet.clock.advance(120_000);

    expect(worker.worker.health()).toMatchObject({ ready: false });
    expect(worker.worker.health().problems).toContain("The log cannot be followed.");
    fleet.store.setRecovering(false);
    await fleet.clock.advance(10_000);
    expect(worker.worker.health().problems).toEqual([]);
    await fleet.stop(worker);
  });
});

describe("Several workers", () => {
  it.each([
    [1, [6]],
    [2, [3, 3]],
    [3, [2, 2, 2]],
    [4, [2, 2, 1, 1]],
    [6, [1, 1, 1, 1, 1, 1]],
    [7, [1, 1, 1, 1, 1, 1, 0]],
  ])("%i of them share six consumers %j", async (count, distribution) => {
    const fleet = createFleet();
    const members = Array.from({ length: count }, () => fleet.start(sixConsumers.map((name) => recorder(name))));
    await fleet.clock.advance(10_000);

    const owned = Object.values(fleet.owners(members));
    expect(owned.map((names) => names.length).sort((a, b) => b - a)).toEqual(distribution);
    expect(owned.flat().sort()).toEqual(sixConsumers);
    expect(members.filter(({ worker }) => worker.health().leads)).toHaveLength(1);
    for (const member of members) await fleet.stop(member);
  });

  it("take in a newcomer and lose one without a gap or a repetition", async () => {
    const fleet = createFleet();
    const consumers = () => Array.from({ length: 25 }, (_, i) => recorder(`c-${String(i).padStart(2, "0")}`));
    let appended = 0;
    const work = async (seconds: number) => {
      for (let i = 0; i < seconds * 4; i++) {
        await fleet.append(`o-${appended++}`);
        await fleet.clock.advance(250);
      }
    };
    const first = fleet.start(consumers());
    await work(3);
    const second = fleet.start(consumers());
    const third = fleet.start(consumers());
    await work(5);
    expect(
      Object.values(fleet.owners([first, second, third]))
        .map(({ length }) => length)
        .sort(),
    ).toEqual([8, 8, 9]);
    await fleet.stop(second);
    first.kill();
    await work(10);

    expect(fleet.owners([third])[third.worker.id]).toHaveLength(25);
    const expected = Array.from({ length: appended }, (_, i) => `o-${i}`);
    for (const { name } of consumers()) expect(handledBy(fleet.store, name)).toEqual(expected);
    await fleet.stop(third);
  });

  it("take over from a killed follower within a second", async () => {
    const fleet = createFleet();
    const members = Array.from({ length: 3 }, () => fleet.start(sixConsumers.map((name) => recorder(name))));
    await fleet.clock.advance(10_000);
    const follower = members.find(({ worker }) => !worker.health().leads);
    follower?.kill();
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);

    for (const name of sixConsumers) expect(handledBy(fleet.store, name)).toEqual(["o-1"]);
    for (const member of members) if (member !== follower) await fleet.stop(member);
  });

  it("take over from a killed leader within two seconds", async () => {
    const fleet = createFleet();
    const members = Array.from({ length: 3 }, () => fleet.start(sixConsumers.map((name) => recorder(name))));
    await fleet.clock.advance(10_000);
    const leader = members.find(({ worker }) => worker.health().leads);
    leader?.kill();
    await fleet.append("o-1");
    await fleet.clock.advance(2_000);

    for (const name of sixConsumers) expect(handledBy(fleet.store, name)).toEqual(["o-1"]);
    for (const member of members) if (member !== leader) await fleet.stop(member);
  });

  it("give a consumer only to workers that have its code", async () => {
    const fleet = createFleet();
    const old = fleet.start(["a", "b"].map((name) => recorder(name)));
    const newer = fleet.start(["b", "c"].map((name) => recorder(name)));
    await fleet.clock.advance(10_000);
    expect(
      Object.values(fleet.owners([old, newer]))
        .flat()
        .sort(),
    ).toEqual(["a", "b", "c"]);
    expect(fleet.owners([old])[old.worker.id]).toContain("a");
    expect(fleet.owners([newer])[newer.worker.id]).toContain("c");

    await fleet.stop(old);
    await fleet.clock.advance(5_000);
    expect(fleet.owners([newer])[newer.worker.id]).toEqual(["b", "c"]);
    await fleet.stop(newer);
  });

  it("leave consumers where they are as far as evenness allows, when told to be sticky", async () => {
    const fleet = createFleet();
    const consumers = () => sixConsumers.map((name) => recorder(name));
    const first = fleet.start(consumers(), { sticky: true });
    const second = fleet.start(consumers(), { sticky: true });
    await fleet.clock.advance(10_000);
    const before = fleet.owners([first, second]);
    const third = fleet.start(consumers(), { sticky: true });
    await fleet.clock.advance(10_000);
    const after = fleet.owners([first, second, third]);

    for (const { worker, recorded } of [first, second]) {
      expect(recorded.of("consumer:released")).toMatchObject([{ reason: "reassigned" }]);
      expect(after[worker.id]).toHaveLength(2);
      expect(before[worker.id]).toEqual(expect.arrayContaining(after[worker.id] as string[]));
    }
    for (const member of [first, second, third]) await fleet.stop(member);
  });

  it("keep an owner that was struck off from committing, and take it in again", async () => {
    const fleet = createFleet();
    let cutOff = false;
    let finish = () => {};
    const hanging = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const old = fleet.start(
      [
        recorder("orders", {
          batchTimeoutMs: 600_000,
          handle: async (event, { tx, epoch }) => {
            if (epoch === 1) await hanging;
            await noteHandled(tx, "orders", event);
          },
        }),
      ],
      {},
      (operation) => {
        if (cutOff && operation === "openControlSession") throw new Error("Unreachable.");
      },
    );
    await fleet.clock.advance(2_000);
    const next = fleet.start([recorder("orders")]);
    await fleet.clock.advance(2_000);
    cutOff = true;
    for (const session of old.connection.controlSessions) session.kill();
    await fleet.clock.advance(5_000);
    await fleet.append("o-1");
    await fleet.clock.advance(5_000);
    expect(fleet.owners([next])).toEqual({ [next.worker.id]: ["orders"] });
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);

    cutOff = false;
    finish();
    await fleet.clock.advance(30_000);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(old.recorded.of("consumer:released")).toMatchObject([{ epoch: 1, reason: "fenced" }]);
    expect(old.recorded.of("worker:rejoined")).toHaveLength(1);
    for (const member of [old, next]) await fleet.stop(member);
  });

  it("make an owner that was struck off take over anew what it is given back, also when nothing is new", async () => {
    const fleet = createFleet();
    const leader = fleet.start([recorder("others")]);
    await fleet.clock.advance(2_000);
    let cutOff = false;
    const old = fleet.start([recorder("orders")], {}, async (operation) => {
      if (cutOff && operation === "openControlSession") throw new Error("Unreachable.");
      // By the time it asks what to run, the leader has given everything back.
      if (operation === "sync") await sleep(fleet.clock, 1_000);
    });
    await fleet.clock.advance(5_000);
    cutOff = true;
    for (const session of old.connection.controlSessions) session.kill();
    const next = fleet.start([recorder("orders")]);
    await fleet.clock.advance(60_000);
    expect(next.recorded.of("consumer:acquired")).toMatchObject([{ epoch: 2 }]);
    await fleet.stop(next);
    cutOff = false;
    await fleet.clock.advance(20_000);

    const [checkpoint] = await fleet.store.readCheckpoints(["orders"]);
    expect(checkpoint).toMatchObject({ ownerId: old.worker.id, epoch: 3 });
    expect(old.worker.health().consumers).toMatchObject([{ state: "running", epoch: 3 }]);
    for (const member of [leader, old]) await fleet.stop(member);
  });
});

describe("The line to the other workers", () => {
  it("is waited for at the start too: a database that does not answer in time ends no worker", async () => {
    const fleet = createFleet();
    let slow = true;
    const member = fleet.start([recorder("orders")], {}, async (operation) => {
      if (slow && operation === "openControlSession") await sleep(fleet.clock, 8_000);
    });
    await fleet.clock.advance(60_000);
    slow = false;
    await fleet.append("o-1");
    await fleet.clock.advance(30_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(member.connection.controlSessions).toHaveLength(1);
    await fleet.stop(member);
  });

  it("is closed when it opens too late", async () => {
    const fleet = createFleet();
    let slow = false;
    const member = fleet.start([recorder("orders")], {}, async (operation) => {
      if (slow && operation === "openControlSession") await sleep(fleet.clock, 8_000);
    });
    await fleet.clock.advance(2_000);
    slow = true;
    for (const session of member.connection.controlSessions) session.kill();
    await fleet.clock.advance(60_000);
    slow = false;
    await fleet.clock.advance(30_000);

    expect(member.connection.controlSessions).toHaveLength(1);
    expect(member.worker.health().problems).toEqual([]);
    await fleet.stop(member);
  });

  it("is tried again when it takes too long at the start", async () => {
    const fleet = createFleet();
    let slow = true;
    const member = fleet.start([recorder("orders")], {}, async (operation) => {
      if (slow && operation === "openControlSession") await sleep(fleet.clock, 8_000);
    });
    await fleet.clock.advance(20_000);
    expect(member.worker.health().state).toBe("starting");

    slow = false;
    await fleet.clock.advance(20_000);
    expect(member.worker.health().state).toBe("running");
    expect(member.connection.controlSessions).toHaveLength(1);
    await fleet.stop(member);
  });

  it.each(["at the start", "later"])(
    "is ended and signed off when it stands only after the worker has stopped, %s",
    async (when) => {
      const fleet = createFleet({ sessionLocks: false });
      let slow = when === "at the start";
      const member = fleet.start([recorder("orders")], { shutdownTimeoutMs: 1 }, async (operation) => {
        // Each answer comes in time, and all of them together too late.
        const isGreeting = ["sync", "register", "holdLivenessLock"].includes(operation);
        if (slow && isGreeting) await sleep(fleet.clock, 4_000);
      });
      const other = await fleet.store.openControlSession();
      await fleet.clock.advance(1_000);
      if (!slow) {
        slow = true;
        for (const session of member.connection.controlSessions) session.kill();
        await other.deregister(member.worker.id);
        await fleet.clock.advance(500);
      }
      await fleet.stop(member);
      await fleet.clock.advance(30_000);

      expect(member.connection.controlSessions).toEqual([]);
      expect(await other.observeWorkers()).toEqual([]);
      expect(fleet.clock.pending).toBe(0);
      await other.close();
    },
  );

  it("is tried ever more rarely while it breaks as soon as it is there, and health turns red", async () => {
    const fleet = createFleet();
    let opened = 0;
    let denied = true;
    const member = fleet.start([recorder("orders")], {}, (operation) => {
      if (operation === "openControlSession") opened += 1;
      if (denied && operation === "observeWorkers") throw new Error("Permission denied.");
    });
    await fleet.clock.advance(120_000);
    expect(opened).toBeLessThan(60);
    expect(member.worker.health().problems).toEqual(["There is no line to the other workers."]);

    denied = false;
    await fleet.clock.advance(10_000);
    expect(member.worker.health().problems).toEqual([]);
    await fleet.stop(member);
  });
});

describe("A failing handler", () => {
  it("is tried again from the checkpoint, its effects undone", async () => {
    const fleet = createFleet();
    let failuresLeft = 2;
    const worker = fleet.start([
      recorder("orders", {
        handle: async (event, { tx }) => {
          await noteHandled(tx, "orders", event);
          if (event.aggregateId === "o-2" && failuresLeft-- > 0) throw new Error("Out of luck.");
        },
      }),
    ]);
    await fleet.store.transaction(async (tx) => {
      for (const id of ["o-1", "o-2", "o-3"]) await fleet.store.append([orderPlaced(id)], { tx });
    });
    await fleet.clock.advance(5_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1", "o-2", "o-3"]);
    expect(worker.recorded.of("batch:failed").map(({ attempt, transient }) => ({ attempt, transient }))).toEqual([
      { attempt: 1, transient: false },
      { attempt: 2, transient: false },
    ]);
    await fleet.stop(worker);
  });

  it("stops its own consumer after maxConsecutiveFailures, while the others go on and health turns red", async () => {
    const fleet = createFleet();
    const handle = vi.fn(() => Promise.reject(new Error("Poison.")));
    const worker = fleet.start([recorder("good"), recorder("bad", { handle })]);
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);
    await fleet.append("o-2");
    await fleet.clock.advance(60_000);

    expect(handle).toHaveBeenCalledTimes(5);
    expect(handledBy(fleet.store, "good")).toEqual(["o-1", "o-2"]);
    expect(worker.recorded.of("consumer:failed")).toMatchObject([
      { consumer: "bad", attempts: 5, position: 0n, error: { message: "Poison." } },
    ]);
    expect(worker.worker.health()).toMatchObject({
      ready: false,
      problems: ['Consumer "bad" has stopped at position 0: see its `lastError`.'],
    });
    await fleet.stop(worker);
  });

  it("does not fail over to the next worker", async () => {
    const fleet = createFleet();
    const handle = vi.fn(() => Promise.reject(new Error("Poison.")));
    const members = [1, 2].map(() => fleet.start([recorder("bad", { handle }), recorder("good")]));
    await fleet.append("o-1");
    await fleet.clock.advance(120_000);

    expect(handle).toHaveBeenCalledTimes(5);
    for (const member of members) await fleet.stop(member);
  });

  it("waits longer each time, whatever wakes the worker meanwhile", async () => {
    const fleet = createFleet();
    const tries: number[] = [];
    const worker = fleet.start([
      recorder("bad", {
        handle: () => {
          tries.push(fleet.clock.now());
          throw new Error("Poison.");
        },
      }),
    ]);
    await fleet.append("o-1");
    for (let i = 0; i < 500; i++) {
      await fleet.append(`more-${i}`);
      await fleet.clock.advance(10);
    }

    expect(tries).toHaveLength(5);
    const waits = tries.slice(1).map((at, i) => at - (tries[i] as number));
    waits.forEach((wait, i) => {
      expect(wait).toBeGreaterThanOrEqual(50 * 2 ** i);
      expect(wait).toBeLessThanOrEqual(100 * 2 ** i + 10);
    });
    await fleet.stop(worker);
  });

  it("may reject with nothing at all", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("bad", { handle: () => Promise.reject(undefined) })]);
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);

    expect(worker.recorded.of("consumer:failed")).toMatchObject([{ error: { code: "PUP_HANDLER_REJECTED" } }]);
    await fleet.stop(worker);
  });

  it("that never settles is given up after batchTimeoutMs and can touch nothing afterwards", async () => {
    const fleet = createFleet();
    const lateWrites: unknown[] = [];
    let signal: AbortSignal | undefined;
    let first = true;
    const worker = fleet.start([
      recorder("slow", {
        batchTimeoutMs: 1_000,
        handle: async (event, context) => {
          if (!first) return noteHandled(context.tx, "slow", event);
          first = false;
          signal = context.signal;
          await new Promise((resolve) => fleet.clock.after(5_000, () => resolve(undefined)));
          await noteHandled(context.tx, "slow", event).catch((error) => lateWrites.push(error));
        },
      }),
    ]);
    await fleet.append("o-1");
    await fleet.clock.advance(900);
    expect(signal?.aborted).toBe(false);
    await fleet.clock.advance(10_000);

    expect(signal?.reason).toMatchObject({ code: "PUP_BATCH_TIMEOUT" });
    expect(worker.recorded.of("batch:failed")).toMatchObject([{ attempt: 1, error: { code: "PUP_BATCH_TIMEOUT" } }]);
    expect(lateWrites).toHaveLength(1);
    expect(handledBy(fleet.store, "slow")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("is told when its transaction is lost, and nothing of it outlives the worker", async () => {
    const fleet = createFleet();
    const signals: AbortSignal[] = [];
    const worker = fleet.start([
      recorder("orders", {
        handle: async (event, { tx, signal }) => {
          signals.push(signal);
          if (signals.length === 1) {
            worker.connection.terminate(tx);
            await sleep(fleet.clock, 20_000, signal);
          }
          await noteHandled(tx, "orders", event);
        },
      }),
    ]);
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);

    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(signals[0]?.reason).toMatchObject({ code: "PUP_MEMORY_CONNECTION_LOST" });
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
    expect(fleet.clock.pending).toBe(0);
  });

  it("turns health red while it fails for reasons that should pass and do not", async () => {
    const fleet = createFleet();
    let locked = true;
    const worker = fleet.start([recorder("orders")], {}, (operation) => {
      if (locked && operation === "runBatch")
        throw Object.assign(new Error("Deadlock."), { code: "PUP_MEMORY_DEADLOCK" });
    });
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);
    expect(worker.worker.health().problems).toEqual(['Consumer "orders" gets nowhere: every try fails.']);

    locked = false;
    await fleet.clock.advance(60_000);
    expect(worker.worker.health().problems).toEqual([]);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("goes on within seconds when a database is back that was away for long", async () => {
    const fleet = createFleet();
    let away = true;
    const worker = fleet.start([recorder("orders")], {}, (operation) => {
      if (away && operation === "runBatch")
        throw Object.assign(new Error("Lost."), { code: "PUP_MEMORY_CONNECTION_LOST" });
    });
    await fleet.append("o-1");
    await fleet.clock.advance(300_000);
    away = false;
    await fleet.clock.advance(5_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("is not blamed for what the database says before it has run", async () => {
    const fleet = createFleet();
    let denied = true;
    const worker = fleet.start([recorder("orders")], {}, (operation) => {
      if (denied && operation === "acquire") throw new Error("Read-only for now.");
    });
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);
    expect(worker.recorded.of("consumer:failed")).toEqual([]);
    expect(worker.worker.health().problems).toEqual(['Consumer "orders" gets nowhere: every try fails.']);

    denied = false;
    await fleet.clock.advance(10_000);
    expect(worker.worker.health().problems).toEqual([]);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(worker);
  });

  it("is not blamed for a database that is away", async () => {
    const fleet = createFleet();
    const worker = fleet.start([recorder("orders")]);
    await fleet.clock.advance(1_000);
    fleet.store.setReachable(false);
    await fleet.clock.advance(120_000);
    expect(worker.worker.health().problems).toEqual(
      expect.arrayContaining(["There is no line to the other workers.", "The log cannot be followed."]),
    );
    fleet.store.setReachable(true);
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(worker.recorded.of("consumer:failed")).toEqual([]);
    expect(worker.worker.health().problems).toEqual([]);
    await fleet.stop(worker);
  });
});

describe("Starting and stopping", () => {
  it("gives the same promise to a second start", async () => {
    const fleet = createFleet();
    const { worker, ended } = fleet.start([recorder("orders")]);

    expect(worker.start()).toBe(ended);
    await fleet.clock.runUntil(Promise.all([worker.stop(), worker.stop()]));
  });

  it("ends by the signal too", async () => {
    const fleet = createFleet();
    const stopping = new AbortController();
    const { clock, store } = fleet;
    const worker = createWorker({
      store,
      dispatcher: createManualDispatcher(),
      consumers: [recorder("orders")],
      clock,
    });
    const ended = worker.start({ signal: stopping.signal });
    await clock.advance(1_000);
    stopping.abort();

    await clock.runUntil(ended);
    expect(clock.pending).toBe(0);
  });

  it("lets the running batch finish before it hands the consumer back", async () => {
    const fleet = createFleet();
    const member = fleet.start([
      recorder("orders", {
        handle: async (event, { tx }) => {
          await new Promise((resolve) => fleet.clock.after(3_000, () => resolve(undefined)));
          await noteHandled(tx, "orders", event);
        },
      }),
    ]);
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);
    await fleet.stop(member);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(member.recorded.of("batch:failed")).toEqual([]);
  });

  it("lets others run at once what has ended here, while a batch still finishes", async () => {
    const fleet = createFleet();
    const slow = () =>
      recorder("a slow one", {
        handle: async (event, { tx }) => {
          await sleep(fleet.clock, 20_000);
          await noteHandled(tx, "a slow one", event);
        },
      });
    const members = [1, 2].map(() => fleet.start([slow(), ...sixConsumers.map((name) => recorder(name))]));
    await fleet.clock.advance(10_000);
    const busy = members.find(({ worker }) => fleet.owners(members)[worker.id]?.includes("a slow one"));
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);
    const stopped = busy?.worker.stop() as Promise<void>;
    await fleet.append("o-2");
    await fleet.clock.advance(2_000);

    for (const name of sixConsumers) expect(handledBy(fleet.store, name)).toEqual(["o-1", "o-2"]);
    expect(handledBy(fleet.store, "a slow one")).toEqual([]);
    await fleet.clock.runUntil(stopped);
    expect(handledBy(fleet.store, "a slow one")).toEqual(["o-1"]);
    expect(busy?.recorded.of("batch:failed")).toEqual([]);
    for (const member of members) await fleet.stop(member);
  });

  it("gives a batch up that does not finish within shutdownTimeoutMs", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders", { handle: () => new Promise(() => {}) })], {
      shutdownTimeoutMs: 2_000,
    });
    await fleet.append("o-1");
    await fleet.clock.advance(1_000);
    const before = fleet.clock.now();
    await fleet.stop(member);

    expect(fleet.clock.now() - before).toBeLessThan(2_500);
    expect(handledBy(fleet.store, "orders")).toEqual([]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("tries until the database is there", async () => {
    const fleet = createFleet();
    fleet.store.setReachable(false);
    const member = fleet.start([recorder("orders")]);
    await fleet.clock.advance(60_000);
    expect(member.worker.health()).toMatchObject({ state: "starting", ready: false });
    fleet.store.setReachable(true);
    await fleet.append("o-1");
    await fleet.clock.advance(10_000);

    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(member);
  });

  it("tries again when the database takes too long to answer", async () => {
    const fleet = createFleet();
    let slow = true;
    const member = fleet.start([recorder("orders")], {}, async (operation) => {
      if (slow && operation === "register") await sleep(fleet.clock, 20_000);
    });
    await fleet.clock.advance(60_000);
    expect(member.recorded.of("worker:started")).toEqual([]);
    slow = false;
    await fleet.clock.advance(30_000);

    expect(member.recorded.of("worker:started")).toHaveLength(1);
    await fleet.stop(member);
  });

  it("says what kept it from starting when it is stopped before", async () => {
    const fleet = createFleet();
    fleet.store.setReachable(false);
    const member = fleet.start([recorder("orders")]);
    await fleet.clock.advance(5_000);
    await fleet.stop(member);

    await expect(member.ended).rejects.toMatchObject({
      code: "PUP_START_ABORTED",
      cause: { code: expect.any(String) },
    });
    expect(fleet.clock.pending).toBe(0);
  });

  it("rejects at once when waiting cannot help, and closes what it had opened", async () => {
    const fleet = createFleet();
    const refusal = new UnsupportedError("No LISTEN here.");
    const dispatcher = { ...createManualDispatcher(), start: () => Promise.reject(refusal) };
    const member = fleet.start([recorder("orders")], { dispatcher });

    await expect(fleet.clock.runUntil(member.ended)).rejects.toBe(refusal);
    expect(member.connection.controlSessions).toEqual([]);
    expect(fleet.clock.pending).toBe(0);
  });

  it.each([0, 1, 2, 3, 5, 8])("ends in good order when it is stopped %i turns after the start", async (turns) => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    await fleet.stop(member);

    await expect(member.ended).resolves.toBeUndefined();
    expect(member.connection.controlSessions).toEqual([]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("stops while its dispatcher still tries to connect", async () => {
    const fleet = createFleet();
    const { promise: started, reject } = Promise.withResolvers<void>();
    const dispatcher = {
      ...createManualDispatcher(),
      start: () => started,
      stop: () => Promise.resolve(reject(new StartAbortedError("Stopped."))),
    };
    const member = fleet.start([recorder("orders")], { dispatcher });
    await fleet.append("o-1");
    await fleet.clock.advance(60_000);
    await fleet.stop(member);

    await expect(member.ended).resolves.toBeUndefined();
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("closes everything else when its dispatcher does not stop in good order", async () => {
    const fleet = createFleet();
    const dispatcher = { ...createManualDispatcher(), stop: () => Promise.reject(new Error("Stuck.")) };
    const member = fleet.start([recorder("orders")], { dispatcher });
    await fleet.clock.advance(2_000);
    await fleet.stop(member);

    await expect(member.ended).resolves.toBeUndefined();
    expect(member.worker.health().state).toBe("stopped");
    expect(member.connection.controlSessions).toEqual([]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("starts only once", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.stop(member);

    await expect(member.worker.runOnce()).rejects.toMatchObject({
      code: "PUP_INVALID_STATE",
    } satisfies Partial<PupError>);
    const unused = createWorker({
      store: fleet.store,
      dispatcher: createManualDispatcher(),
      consumers: [recorder("orders")],
    });
    await unused.stop();
    await expect(unused.start()).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
  });
});

describe("A single run", () => {
  function single(fleet: ReturnType<typeof createFleet>, consumers = [recorder("orders"), recorder("billing")]) {
    const { clock, store } = fleet;
    return createWorker({ store: store.connect(), dispatcher: createManualDispatcher(), consumers, clock });
  }

  it("processes what is there, hands the consumers back and returns", async () => {
    const fleet = createFleet();
    for (let i = 0; i < 250; i++) await fleet.append(`o-${i}`);
    const outcome = await fleet.clock.runUntil(single(fleet).runOnce());

    expect(outcome).toEqual([
      { consumer: "orders", outcome: "caught-up", position: 250n, events: 250 },
      { consumer: "billing", outcome: "caught-up", position: 250n, events: 250 },
    ]);
    expect(handledBy(fleet.store, "orders")).toHaveLength(250);
    expect(await fleet.store.readCheckpoints(["orders"])).toMatchObject([{ position: 250n, ownerId: null }]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("leaves alone what a live worker has", async () => {
    const fleet = createFleet();
    const member = fleet.start([recorder("orders")]);
    await fleet.append("o-1");
    await fleet.clock.advance(2_000);
    const outcome = await fleet.clock.runUntil(single(fleet).runOnce());

    expect(outcome).toMatchObject([
      { consumer: "orders", outcome: "held-elsewhere" },
      { consumer: "billing", outcome: "caught-up", events: 1 },
    ]);
    expect(handledBy(fleet.store, "orders")).toEqual(["o-1"]);
    await fleet.stop(member);
  });

  it("is interrupted by its signal, also before it has begun", async () => {
    const fleet = createFleet();
    await fleet.append("o-1");
    const signal = AbortSignal.abort();

    expect(await fleet.clock.runUntil(single(fleet, [recorder("orders")]).runOnce({ signal }))).toEqual([
      { consumer: "orders", outcome: "interrupted", position: null, events: 0 },
    ]);
    expect(fleet.clock.pending).toBe(0);
  });

  it("has ended when stop resolves", async () => {
    const fleet = createFleet();
    await fleet.append("o-1");
    const worker = single(fleet, [
      recorder("slow", {
        handle: async (event, { tx }) => {
          await new Promise((resolve) => fleet.clock.after(3_000, () => resolve(undefined)));
          await noteHandled(tx, "slow", event);
        },
      }),
    ]);
    const outcome = worker.runOnce();
    await fleet.clock.advance(1_000);
    await fleet.clock.runUntil(worker.stop());

    expect(worker.health().state).toBe("stopped");
    expect(handledBy(fleet.store, "slow")).toEqual(["o-1"]);
    expect(await outcome).toMatchObject([{ consumer: "slow", outcome: "caught-up" }]);
  });

  it("rejects with what kept it from taking a consumer over", async () => {
    const fleet = createFleet();
    const { clock, store } = fleet;
    const denied = store.connect({
      beforeOperation: (operation) => {
        if (operation === "acquire") throw new Error("Permission denied.");
      },
    });
    const consumers = [recorder("orders")];
    const worker = createWorker({ store: denied, dispatcher: createManualDispatcher(), consumers, clock });

    await expect(clock.runUntil(worker.runOnce())).rejects.toThrow("Permission denied.");
    expect(clock.pending).toBe(0);
  });

  it("rejects with what made a consumer fail, after the others have finished", async () => {
    const fleet = createFleet();
    await fleet.append("o-1");
    const worker = single(fleet, [
      recorder("bad", { handle: () => Promise.reject(new Error("Poison.")), maxConsecutiveFailures: 2 }),
      recorder("good"),
    ]);

    await expect(fleet.clock.runUntil(worker.runOnce())).rejects.toThrow("Poison.");
    expect(handledBy(fleet.store, "good")).toEqual(["o-1"]);
    expect(fleet.clock.pending).toBe(0);
  });
});
