import type { AcquireRequest } from "@pup/core";
import { describe, expect, it } from "vitest";
import { type ClaimFacts, judgeClaim, mayEndBlocker } from "./judge-claim.ts";

const request = (fields: Partial<AcquireRequest> = {}): AcquireRequest => ({
  consumer: "orders",
  workerId: "me",
  claim: "assigned",
  graceMs: 30_000,
  batchTimeoutMs: 60_000,
  heartbeatTimeoutMs: 30_000,
  ...fields,
});

const facts = (fields: Partial<ClaimFacts> = {}): ClaimFacts => ({
  ownerId: null,
  ownerAlive: false,
  assigneeId: "me",
  assigneeAlive: true,
  assignedForMs: 0,
  ...fields,
});

const rivalOwns = { ownerId: "rival", ownerAlive: true };
const rivalDied = { ownerId: "rival", ownerAlive: false };

describe("judgeClaim", () => {
  it.each([
    ["takes what nobody owns", {}, "take"],
    ["takes its own again", { ownerId: "me", ownerAlive: true }, "take"],
    ["takes what a dead worker owns", rivalDied, "take"],
    ["leaves a live owner its grace", { ...rivalOwns, assignedForMs: 29_999 }, "held"],
    ["takes over when the grace is over", { ...rivalOwns, assignedForMs: 30_000 }, "take"],
    ["refuses what somebody else was given", { assigneeId: "rival" }, "not-yours"],
    ["refuses what nobody was given", { assigneeId: null, assignedForMs: null }, "not-yours"],
    ["refuses what went elsewhere, though it still owns it", { ownerId: "me", assigneeId: "rival" }, "not-yours"],
  ] as const)("%s", (_, known, verdict) => {
    expect(judgeClaim(request(), facts(known))).toBe(verdict);
  });

  it.each([
    ["takes what nobody owns and nobody was given", { assigneeId: null, assignedForMs: null }, "take"],
    [
      "leaves alone what a live worker owns, however long ago it was given away",
      { ...rivalOwns, assignedForMs: 9e9 },
      "not-yours",
    ],
    ["leaves alone what a live worker was given", { assigneeId: "rival" }, "not-yours"],
    ["takes what a dead worker owns", { ...rivalDied, assigneeId: null }, "take"],
    ["takes what a dead worker was given", { assigneeId: "rival", assigneeAlive: false }, "take"],
  ] as const)("beside the fleet %s", (_, known, verdict) => {
    expect(judgeClaim(request({ claim: "unowned" }), facts(known))).toBe(verdict);
  });
});

describe("mayEndBlocker", () => {
  it.each([
    ["ends what a dead owner has left", rivalDied, true],
    ["leaves a live owner the whole time of a batch", { ...rivalOwns, assignedForMs: 64_999 }, false],
    ["ends what an owner still does when its batch is long overdue", { ...rivalOwns, assignedForMs: 65_000 }, true],
    ["leaves alone who takes over at the same time", {}, false],
    ["leaves its own batch alone", { ownerId: "me", ownerAlive: false }, false],
  ] as const)("%s", (_, known, verdict) => {
    expect(mayEndBlocker(request(), facts(known))).toBe(verdict);
  });

  it("leaves a live owner its grace where that is longer than a batch", () => {
    const short = request({ batchTimeoutMs: 1_000 });
    expect(mayEndBlocker(short, facts({ ...rivalOwns, assignedForMs: 34_999 }))).toBe(false);
    expect(mayEndBlocker(short, facts({ ...rivalOwns, assignedForMs: 35_000 }))).toBe(true);
  });
});
