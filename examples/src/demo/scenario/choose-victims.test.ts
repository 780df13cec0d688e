import { describe, expect, it } from "vitest";
import { chooseWorkerToKill, chooseWorkerToStop } from "./choose-victims.ts";

const owned = (...owners: (string | null)[]) =>
  owners.map((workerId, index) => ({ consumer: `c${index}`, workerId, epoch: 1, lag: 0 }));

describe("The worker to stop", () => {
  it("has consumers and does not lead, where there is such a one", () => {
    expect(chooseWorkerToStop({ leaderId: "a", consumers: owned("a", "a", "b", null) })).toBe("b");
    expect(chooseWorkerToStop({ leaderId: "a", consumers: owned("a") })).toBe("a");
  });

  it("is nobody while nobody has consumers", () => {
    expect(chooseWorkerToStop({ leaderId: "a", consumers: owned(null, null) })).toBeNull();
  });
});

describe("The worker to kill", () => {
  it("leads, if the leader has consumers", () => {
    expect(chooseWorkerToKill({ leaderId: "b", consumers: owned("a", "a", "b") })).toBe("b");
  });

  it("else has more consumers than others", () => {
    expect(chooseWorkerToKill({ leaderId: "c", consumers: owned("b", "a", "a") })).toBe("a");
    expect(chooseWorkerToKill({ leaderId: null, consumers: owned(null) })).toBeNull();
  });
});
