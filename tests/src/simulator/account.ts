import type { Checkpoint, EventScope, GlobalPosition, RecordedEvent } from "@pup/core";
import { type Applied, countOf, weightOf } from "./effects.ts";
import type { ConsumerPlan } from "./scenario.ts";
import type { Report } from "./violation.ts";

/** A batch that was committed. */
export interface CommittedBatch {
  /** Positions of events that it applied, in order. */
  readonly applied: readonly GlobalPosition[];
  /** Dead letters that it wrote. */
  readonly put: readonly { readonly position: GlobalPosition; readonly parked: boolean }[];
  /** Dead letters that it took away because they were handled after all. */
  readonly resolved: readonly GlobalPosition[];
}

/** What one consumer has done, held against what the application has committed. */
export interface Account {
  readonly plan: ConsumerPlan;
  /** As the last check found it; null before there was one. */
  readonly checkpoint: Checkpoint | null;
  /** Positions of dead letters, and whether each is parked. */
  readonly letters: ReadonlyMap<GlobalPosition, boolean>;
  /** The application has committed an event. */
  noteCommitted(event: RecordedEvent): void;
  /** The consumer has got its checkpoint. */
  noteCreated(position: GlobalPosition): void;
  noteBatch(batch: CommittedBatch): void;
  /** An effect outside of any transaction. */
  noteOutside(position: GlobalPosition): void;
  /** Somebody has given up those of these letters that still stood. @returns how many */
  noteDiscarded(positions: readonly GlobalPosition[]): number;
  /** Looks at the consumer as it stands between two steps: I1, I2 and I3. */
  check(checkpoint: Checkpoint, found: Applied): void;
  /** The first event that lies before the consumer; null when none does. */
  next(): RecordedEvent | null;
  /** The event at a position, if it is one of the consumer's. */
  eventAt(position: GlobalPosition): RecordedEvent | undefined;
  /** The letter that a parked one waits for; null when it is the first of its aggregate. */
  waitsFor(position: GlobalPosition): RecordedEvent | null;
}

/** Opens the account of one consumer. */
export function openAccount(plan: ConsumerPlan, report: Report): Account {
  const { name, isDetached, onFailure } = plan;
  /** The consumer's events, in order of their positions. */
  const due: RecordedEvent[] = [];
  const byPosition = new Map<GlobalPosition, RecordedEvent>();
  /** Events up to here have been looked at. */
  let accountedFor = 0n;
  let start: GlobalPosition | null = null;
  let checkpoint: Checkpoint | null = null;

  const applied = new Set<GlobalPosition>();
  const letters = new Map<GlobalPosition, boolean>();
  const discarded = new Set<GlobalPosition>();
  /** What the table of effects must hold. */
  let expected: Applied = 0n;
  /** The consumer has come past all up to here, one way or the other. */
  let passed = 0n;
  /** Parked letters of each aggregate. */
  const parkedOf = new Map<string, Set<GlobalPosition>>();
  /** Last applied event of each aggregate. */
  const lastOf = new Map<string, GlobalPosition>();

  const isSeenTo = (position: GlobalPosition) =>
    applied.has(position) || letters.has(position) || discarded.has(position);

  function indexAbove(position: GlobalPosition): number {
    let [low, high] = [0, due.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((due[middle] as RecordedEvent).globalPosition > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Who begins with a time begins with all that is as young. */
  function checkAge({ globalPosition, createdAt }: RecordedEvent): void {
    const { startFrom } = plan;
    if (start === null || !(startFrom instanceof Date) || globalPosition > start || createdAt < startFrom) return;
    report("I1", `${name} has begun at ${start}, behind ${globalPosition}, which is as young as it was to begin with`);
  }

  function checkFresh(position: GlobalPosition, what: string): void {
    if (position <= passed) report("I2", `${name} ${what} ${position} after it had come to ${passed}`);
  }

  function noteApplied(position: GlobalPosition): void {
    const event = byPosition.get(position);
    if (!event) {
      report("I1", `${name} applied ${position}, which is none of its events`);
      return;
    }
    applied.add(position);
    expected += weightOf(position);
    if (onFailure !== "park") return;
    const before = waitsFor(position);
    if (before) report("I2", `${name} applied ${position} while ${before.globalPosition} of its aggregate is parked`);
    const aggregate = aggregateOf(event);
    const last = lastOf.get(aggregate) ?? 0n;
    if (position < last) report("I2", `${name} applied ${position} after ${last}, which is later in its aggregate`);
    lastOf.set(aggregate, position);
  }

  function waitsFor(position: GlobalPosition): RecordedEvent | null {
    const parked = parkedOf.get(aggregateOf(byPosition.get(position) as RecordedEvent));
    for (const other of parked ?? []) if (other < position) return byPosition.get(other) ?? null;
    return null;
  }

  function putLetter(position: GlobalPosition, parked: boolean): void {
    letters.set(position, parked);
    const event = byPosition.get(position);
    if (!parked || !event) return;
    const aggregate = aggregateOf(event);
    const others = parkedOf.get(aggregate);
    if (others) others.add(position);
    else parkedOf.set(aggregate, new Set([position]));
  }

  function removeLetter(position: GlobalPosition): boolean {
    const event = byPosition.get(position);
    if (event) parkedOf.get(aggregateOf(event))?.delete(position);
    return letters.delete(position);
  }

  function takeBack(position: GlobalPosition, handled: readonly GlobalPosition[]): void {
    if (!removeLetter(position)) report("I1", `${name} handled ${position} again, which was no dead letter`);
    const isHandled = isDetached ? applied.has(position) : handled.includes(position);
    if (!isHandled) report("I1", `${name} took the letter of ${position} away and has not handled it`);
  }

  /** Each of the events up to the checkpoint was applied, or is a letter, or was one that somebody gave up. */
  function accountUpTo(position: GlobalPosition): void {
    for (let index = indexAbove(accountedFor); index < due.length; index++) {
      const { globalPosition } = due[index] as RecordedEvent;
      if (globalPosition > position) break;
      if (!isSeenTo(globalPosition)) {
        report("I1", `${name} stands at ${position} and has left ${globalPosition} out`);
      }
    }
    accountedFor = position;
  }

  return {
    plan,
    get checkpoint() {
      return checkpoint;
    },
    letters,
    noteCommitted(event) {
      if (!isInScope(event, plan)) return;
      const { globalPosition } = event;
      due.splice(indexAbove(globalPosition), 0, event);
      byPosition.set(globalPosition, event);
      // A start is settled like every other checkpoint.
      if (globalPosition <= accountedFor) {
        report("I1", `${name} stands at ${accountedFor}, and only now ${globalPosition} was committed`);
      }
    },
    noteCreated(position) {
      if (start !== null) return;
      start = position;
      accountedFor = position;
      const { startFrom } = plan;
      const wanted = startFrom === "beginning" ? 0n : typeof startFrom === "bigint" ? startFrom : position;
      if (position !== wanted) report("I1", `${name} begins at ${position} instead of ${wanted}`);
      due.forEach(checkAge);
    },
    noteBatch({ applied: handled, put, resolved }) {
      for (const position of resolved) takeBack(position, handled);
      let last = passed;
      for (const position of handled) {
        if (applied.has(position)) report("I1", `${name} applied ${position} twice`);
        if (letters.has(position)) report("I1", `${name} applied ${position}, which is a dead letter`);
        if (!resolved.includes(position)) {
          checkFresh(position, "applied");
          if (position <= last) report("I2", `${name} applied ${position} after ${last}`);
          last = position;
        }
        noteApplied(position);
      }
      for (const { position, parked } of put) {
        checkFresh(position, "put aside");
        if (onFailure === "stop") report("I1", `${name} put ${position} aside, and was to stop before it`);
        if (!isDetached && applied.has(position)) report("I1", `${name} put ${position} aside, which it had applied`);
        putLetter(position, parked);
        if (position > last) last = position;
      }
      passed = last;
    },
    noteOutside(position) {
      if (applied.has(position)) return;
      const event = byPosition.get(position);
      if (!event) return report("I1", `${name} handled ${position}, which is none of its events`);
      for (let index = indexAbove(accountedFor); index < due.length; index++) {
        const ahead = due[index] as RecordedEvent;
        const { globalPosition } = ahead;
        if (globalPosition >= position) break;
        // Events of parked aggregates become letters with the same commit, or, when there is none, may be handled later.
        if (onFailure === "park" && aggregateOf(ahead) !== aggregateOf(event)) continue;
        if (isSeenTo(globalPosition) || waitsFor(globalPosition)) continue;
        report("I2", `${name} handled ${position} before ${globalPosition}`);
      }
      applied.add(position);
    },
    noteDiscarded(positions) {
      const standing = positions.filter(removeLetter);
      for (const position of standing) discarded.add(position);
      return standing.length;
    },
    check(now, found) {
      const before = checkpoint;
      checkpoint = now;
      if (before && (now.position < before.position || now.epoch < before.epoch)) {
        report("I3", `${name} went back from ${describe(before)} to ${describe(now)}`);
      }
      if (now.position > accountedFor) accountUpTo(now.position);
      if (isDetached) return;
      if (found !== expected) {
        report("I1", `${name} has effects of ${countOf(found)} events, and its batches have applied ${applied.size}`);
      }
    },
    next() {
      return due[indexAbove(checkpoint?.position ?? 0n)] ?? null;
    },
    eventAt: (position) => byPosition.get(position),
    waitsFor,
  };
}

function isInScope({ aggregateType, type }: RecordedEvent, { aggregateTypes, eventTypes }: EventScope): boolean {
  return (aggregateTypes?.includes(aggregateType) ?? true) && (eventTypes?.includes(type) ?? true);
}

function aggregateOf({ aggregateType, aggregateId }: RecordedEvent): string {
  return `${aggregateType} ${aggregateId}`;
}

function describe({ position, epoch }: Checkpoint): string {
  return `position ${position}, epoch ${epoch}`;
}
