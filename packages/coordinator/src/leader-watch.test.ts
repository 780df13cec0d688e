import { describe, expect, it } from "vitest";
import { createFleet, recorder } from "../test/fleet.ts";

const NO_LEADER = "No leader is alive, and no worker can become leader: a session that is gone still holds its lock.";

describe("A worker that is refused the leadership while no leader is alive", () => {
  /** The lock is held by a session that belongs to no worker and cannot be ended. */
  async function setUp() {
    const fleet = createFleet();
    const stranger = await fleet.store.openControlSession();
    await stranger.election.tick();
    const errors: unknown[] = [];
    const ignore = () => undefined;
    const logger = {
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: (_: unknown, message: string) => errors.push(message),
    };
    const member = fleet.start([recorder("orders")], { logger, heartbeatTimeoutMs: 20_000, unhealthyAfterMs: 30_000 });
    return { fleet, stranger, member, errors, missing: () => member.recorded.of("leader:missing") };
  }

  it("says so once, turns its health red, and stays quiet until then", async () => {
    const { fleet, member, errors, missing } = await setUp();
    await fleet.clock.advance(49_000);
    expect(missing()).toEqual([]);
    expect(member.worker.health()).toMatchObject({ ready: true });

    await fleet.clock.advance(60_000);
    expect(missing()).toMatchObject([{ workerId: member.worker.id }]);
    expect(missing()[0]?.missingForMs).toBeGreaterThan(30_000);
    expect(errors).toHaveLength(1);
    expect(member.worker.health()).toMatchObject({ ready: false, problems: [NO_LEADER] });
    await fleet.stop(member);
  });

  it("says it once, also when its line breaks meanwhile", async () => {
    const { fleet, member, missing } = await setUp();
    for (let round = 0; round < 5; round++) {
      await fleet.clock.advance(20_000);
      for (const session of member.connection.controlSessions) session.kill();
    }

    expect(missing()).toHaveLength(1);
    await fleet.stop(member);
  });

  it("is well again once it leads, and says it anew the next time", async () => {
    const { fleet, stranger, member, missing } = await setUp();
    await fleet.clock.advance(60_000);
    await stranger.close();
    await fleet.clock.advance(1_000);
    expect(member.worker.health()).toMatchObject({ ready: true, leads: true });
    expect(missing()).toHaveLength(1);

    for (const session of member.connection.controlSessions) session.kill();
    await (await fleet.store.openControlSession()).election.tick();
    await fleet.clock.advance(60_000);
    expect(missing()).toHaveLength(2);
    await fleet.stop(member);
  });

  it("says nothing while a leader reports, or resigns and is followed", async () => {
    const fleet = createFleet();
    const members = [1, 2, 3].map(() => fleet.start([recorder("orders")]));
    for (const member of members.slice(0, 2)) {
      await fleet.clock.advance(90_000);
      await fleet.stop(member);
    }
    await fleet.clock.advance(90_000);

    for (const { recorded } of members) expect(recorded.of("leader:missing")).toEqual([]);
    await fleet.stop(members[2] as (typeof members)[number]);
  });
});
