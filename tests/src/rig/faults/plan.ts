import { type Chance, createChance } from "../chance.ts";

/** Whom a fault hits; who that is turns out when it happens. */
export type Victim = "leader" | "follower";

/** Something that happens to the fleet. */
export type Fault =
  /** SIGKILL; another process takes the place after a while. */
  | { readonly kind: "kill"; readonly victim: Victim; readonly emptyMs: number }
  /** SIGSTOP, and SIGCONT after a while. */
  | { readonly kind: "freeze"; readonly victim: Victim; readonly lasts: "short" | "long"; readonly forMs: number }
  /** SIGSTOP right before a batch of this consumer begins, and SIGCONT when another worker has gone on with it. */
  | { readonly kind: "freeze-in-batch"; readonly consumer: "all in batches" }
  /** `pg_terminate_backend` of some sessions of workers, whatever they are at. */
  | { readonly kind: "terminate-backends"; readonly count: number }
  /** The same for sessions that workers keep for good. */
  | { readonly kind: "terminate-session"; readonly session: "control" | "notify" | "leader" }
  /** The server goes, and comes back after a while. */
  | { readonly kind: "restart-server"; readonly mode: "fast" | "immediate"; readonly downMs: number }
  /** Everything between a worker and the server takes longer. */
  | { readonly kind: "latency"; readonly seat: number; readonly delayMs: number; readonly forMs: number }
  /** All connections of a worker are reset. */
  | { readonly kind: "reset"; readonly seat: number }
  /** Nothing gets through between a worker and the server, and nobody is told. */
  | { readonly kind: "half-open"; readonly seat: number; readonly forMs: number }
  /** Workers are not told of new events. */
  | { readonly kind: "lost-notifications"; readonly forMs: number }
  /** A worker stops in good order; the next one in its place is wrong about the time of day. */
  | { readonly kind: "skewed-clock"; readonly victim: Victim; readonly skewMs: number };

/** A fault, and when it begins: in milliseconds from the start of the load. */
export type PlannedFault = Fault & { readonly atMs: number };

export interface PlanOptions {
  readonly seed: number;
  /** How long faults may begin, in milliseconds. */
  readonly durationMs: number;
  /** Silence after which a worker counts as dead, in milliseconds: what is short or long is told by it. */
  readonly heartbeatTimeoutMs: number;
  /** What has to happen first; for the rest, chance decides. */
  readonly first?: Fault | undefined;
}

/** One fault begins in each slot of this length, in milliseconds, at a moment left to chance. */
const SLOT_MS = 2_800;
/** Nothing begins before everybody has something to do, in milliseconds. */
const QUIET_MS = 2_000;
const HOUR_MS = 3_600_000;
/** Seats with a line that can be disturbed, counted from 0. */
const linedSeats = [2, 3] as const;
/** Part of the seed that the plan is drawn from; writers take small numbers. */
const PLAN = 1_000;

type Draw = (chance: Chance, heartbeatTimeoutMs: number) => Fault;

const freeze =
  (victim: Victim, lasts: "short" | "long"): Draw =>
  (chance, timeoutMs) => {
    const [least, most] = lasts === "short" ? [0.1, 0.7] : [1.2, 1.8];
    const forMs = chance.whole(Math.round(timeoutMs * least), Math.round(timeoutMs * most));
    return { kind: "freeze", victim, lasts, forMs };
  };

const kill =
  (victim: Victim): Draw =>
  (chance) => ({ kind: "kill", victim, emptyMs: chance.whole(300, 2_500) });

/** All that can happen. Each round of a plan has all of it, in an order of its own. */
const deck: readonly Draw[] = [
  kill("follower"),
  kill("follower"),
  kill("leader"),
  kill("leader"),
  freeze("follower", "short"),
  freeze("follower", "long"),
  freeze("leader", "short"),
  freeze("leader", "long"),
  () => ({ kind: "freeze-in-batch", consumer: "all in batches" }),
  (chance) => ({ kind: "terminate-backends", count: chance.whole(1, 8) }),
  (chance) => ({ kind: "terminate-session", session: chance.pick(["control", "notify", "leader"]) }),
  (chance) => ({ kind: "restart-server", mode: "fast", downMs: chance.whole(0, 1_500) }),
  (chance) => ({ kind: "restart-server", mode: "immediate", downMs: chance.whole(0, 1_500) }),
  (chance) => ({
    kind: "latency",
    seat: chance.pick(linedSeats),
    delayMs: chance.whole(20, 200),
    forMs: chance.whole(1_000, 3_000),
  }),
  (chance) => ({ kind: "reset", seat: chance.pick(linedSeats) }),
  (chance, timeoutMs) => ({
    kind: "half-open",
    seat: chance.pick(linedSeats),
    forMs: chance.whole(Math.round(timeoutMs * 0.3), Math.round(timeoutMs * 1.8)),
  }),
  (chance) => ({ kind: "lost-notifications", forMs: chance.whole(1_500, 4_000) }),
  (chance) => ({
    kind: "skewed-clock",
    victim: chance.pick(["leader", "follower"]),
    skewMs: chance.pick([-HOUR_MS, HOUR_MS]),
  }),
];

/** Plans what happens when. The same seed makes the same plan. */
export function planFaults({ seed, durationMs, heartbeatTimeoutMs, first }: PlanOptions): readonly PlannedFault[] {
  const chance = createChance(seed, PLAN);
  const plan: PlannedFault[] = first ? [{ ...first, atMs: QUIET_MS }] : [];
  let round: Draw[] = [];
  for (let slot = QUIET_MS + plan.length * SLOT_MS; slot + SLOT_MS <= durationMs; slot += SLOT_MS) {
    if (round.length === 0) round = shuffle(deck, chance);
    const draw = round.pop() as Draw;
    plan.push({ ...draw(chance, heartbeatTimeoutMs), atMs: slot + chance.whole(0, SLOT_MS - 1) });
  }
  return plan;
}

/** What a fault is counted as. */
export function kindOf(fault: Fault): string {
  switch (fault.kind) {
    case "kill":
      return `kill-${fault.victim}`;
    case "freeze":
      return `freeze-${fault.victim}-${fault.lasts}`;
    case "terminate-session":
      return `terminate-${fault.session}-session`;
    case "restart-server":
      return `restart-server-${fault.mode}`;
    default:
      return fault.kind;
  }
}

function shuffle<Item>(items: readonly Item[], chance: Chance): Item[] {
  const left = [...items];
  return items.map(() => left.splice(chance.whole(0, left.length - 1), 1)[0] as Item);
}
