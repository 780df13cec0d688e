import { describe, expect, it } from "vitest";
import { createFleet, recorder } from "../test/fleet.ts";

const names = ["Analytics", "Billing", "Email"];

/** A fleet whose database does not answer any more once it is told to, and never says so either. */
function createSilentFleet() {
  const fleet = createFleet();
  let silent = false;
  const fallSilent = () => {
    silent = true;
  };
  const hang = () => (silent ? new Promise<void>(() => undefined) : Promise.resolve());
  return { ...fleet, fallSilent, hang };
}

describe("Stopping on a line that is dead", () => {
  it("is over within shutdownTimeoutMs and five seconds", async () => {
    const fleet = createSilentFleet();
    const member = fleet.start(
      names.map((name) => recorder(name)),
      { shutdownTimeoutMs: 2_000 },
      fleet.hang,
    );
    await fleet.clock.advance(2_000);
    fleet.fallSilent();
    await fleet.append("o-1");
    const stoppedAt = fleet.clock.now();

    await fleet.clock.runUntil(member.worker.stop());

    expect(fleet.clock.now() - stoppedAt).toBeLessThanOrEqual(7_000);
    expect(member.worker.health().state).toBe("stopped");
    await member.ended;
  });

  it("is over within five seconds while it starts, and says what was not there", async () => {
    const fleet = createSilentFleet();
    fleet.fallSilent();
    const member = fleet.start([recorder("orders")], {}, fleet.hang);
    await fleet.clock.advance(60_000);
    const stoppedAt = fleet.clock.now();

    await fleet.clock.runUntil(member.worker.stop());

    expect(fleet.clock.now() - stoppedAt).toBeLessThanOrEqual(5_000);
    await expect(member.ended).rejects.toMatchObject({ code: "PUP_START_ABORTED" });
  });
});

describe("Stopping with a database that answers", () => {
  it("takes no longer than its batches, and leaves no timer", async () => {
    const fleet = createFleet();
    const member = fleet.start(names.map((name) => recorder(name)));
    await fleet.clock.advance(2_000);
    const stoppedAt = fleet.clock.now();

    await fleet.clock.runUntil(member.worker.stop());

    expect(fleet.clock.now() - stoppedAt).toBeLessThan(100);
    expect(fleet.clock.pending).toBe(0);
  });
});
