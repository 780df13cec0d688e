import { type AppendResult, ConcurrencyConflictError, resolveExpectedVersion } from "@pup/core";
import type { Execute } from "../execute.ts";
import { createAppendBacklog } from "./append-backlog.ts";
import type { AppendEvents, AppendRequest } from "./append-events.ts";
import { type GroupBounds, type GroupPart, isLarge, planGroup, type QueuedAppend } from "./append-group.ts";
import { LOCK_TIMEOUT_MS } from "./append-group-statement.ts";
import type { SendAppendGroup } from "./send-append-group.ts";

/** The way of a store's own appends to the database. */
export interface AppendLanes {
  /** @throws {@link OverloadedError} when too many wait, or this one has waited too long */
  append(request: AppendRequest): Promise<AppendResult>;
}

export interface AppendLanesOptions {
  readonly execute: Execute;
  readonly appendEvents: AppendEvents;
  readonly sendGroup: SendAppendGroup;
  /** Most statements at once that may wait for somebody else's lock. Leaves a connection for groups where there are two. */
  readonly maxSlow: number;
  /** How long an append may wait for its turn, in milliseconds. */
  readonly maxWaitMs: number;
}

/** One that gathers while another one is under way would leave database and process waiting for each other by turns. */
const MAX_GROUPS = 2;

/** Larger ones gain little more, and everybody waits until the last one is through. */
const BOUNDS: GroupBounds = { maxAppends: 128, maxEvents: 256, maxLength: 262_144 };

/** What may wait. Who sends more without waiting for answers will not stop by itself. */
const BACKLOG_BOUNDS = { maxAppends: 10_000, maxLength: 67_108_864 };

/** A single append in the fast lane. */
interface Lone {
  giveWay: () => void;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Makes the lanes. In the **fast lane**, what comes while all of its places are taken travels together in the next statement;
 * what comes while one is free goes at once and by itself, so that nobody waits for company. In the **slow lane** go, one by
 * one, the large ones, those that were refused and have to be told why, and those that wait for somebody else's lock.
 *
 * An aggregate is in one place at a time: what comes for it meanwhile waits behind, so each aggregate's appends happen in the
 * order in which they came. No timer decides when something is sent.
 */
export function createAppendLanes(options: AppendLanesOptions): AppendLanes {
  const { execute, appendEvents, sendGroup, maxSlow, maxWaitMs } = options;
  let waiting: QueuedAppend[] = [];
  /** Aggregates for which something is under way, and what waits behind it. */
  const held = new Map<string, QueuedAppend[]>();
  const slowParts: GroupPart[] = [];
  const lones = new Set<Lone>();
  let groups = 0;
  let slow = 0;
  const backlog = createAppendBacklog({ ...BACKLOG_BOUNDS, maxWaitMs });

  function dispatch(): void {
    while (groups < MAX_GROUPS && waiting.length > 0) {
      const { parts, large, behind, rest } = planGroup(waiting, (key) => held.has(key), BOUNDS);
      waiting = rest;
      for (const { key } of parts) held.set(key, []);
      for (const append of large) {
        held.set(append.key, []);
        const { key, expected, request } = append;
        slowParts.push({ key, appends: [append], expected, count: request.input.ids.length });
      }
      for (const append of behind) held.get(append.key)?.push(append);
      if (parts.length > 0) start(parts);
    }
    while (slow < maxSlow && slowParts.length > 0) void sendSlowly(slowParts.shift() as GroupPart, false);
    if (waiting.length > 0) askLonesToHurry();
  }

  function start(parts: readonly GroupPart[]): void {
    const [part] = parts;
    const [append] = part?.appends ?? [];
    const isLone = parts.length === 1 && part?.appends.length === 1;
    if (append !== undefined && isLone && hasRoomForLone()) {
      backlog.delete(append);
      sendLone(append.request, append.key).then(append.resolve, append.reject);
    } else void sendTogether(parts);
  }

  /** A single one waits for locks as long as it takes: not more of them at once than may. */
  function hasRoomForLone(): boolean {
    return groups < MAX_GROUPS && slow + lones.size < maxSlow;
  }

  /** For an aggregate that is held already. */
  async function sendLone(request: AppendRequest, key: string): Promise<AppendResult> {
    let isSlow = false;
    const lone: Lone = {
      timer: undefined,
      giveWay() {
        isSlow = true;
        lones.delete(lone);
        groups -= 1;
        slow += 1;
        dispatch();
      },
    };
    lones.add(lone);
    groups += 1;
    let reached = 0;
    try {
      const result = await appendEvents(execute, request);
      reached = result.toVersion;
      return result;
    } catch (error) {
      if (error instanceof ConcurrencyConflictError) reached = error.actual;
      throw error;
    } finally {
      clearTimeout(lone.timer);
      if (isSlow) slow -= 1;
      else {
        lones.delete(lone);
        groups -= 1;
      }
      release({ key, reached });
      dispatch();
    }
  }

  /** Nobody is kept waiting yet when a lone one is sent; a timer for each would cost a tenth of it. */
  function askLonesToHurry(): void {
    for (const lone of lones) lone.timer ??= setTimeout(lone.giveWay, LOCK_TIMEOUT_MS).unref();
  }

  async function sendTogether(parts: readonly GroupPart[]): Promise<void> {
    groups += 1;
    for (const { appends } of parts) for (const append of appends) backlog.delete(append);
    const left = await sendGroup(execute, parts);
    groups -= 1;
    const isLeft = new Set(left.map(({ part }) => part));
    for (const part of parts) if (!isLeft.has(part)) release(part);
    for (const { part, wasRefused } of left) {
      // To find out why waits for nobody, so it needs no place.
      if (wasRefused) void sendSlowly(part, true);
      else slowParts.push(part);
    }
    dispatch();
  }

  async function sendSlowly(part: GroupPart, wasRefused: boolean): Promise<void> {
    if (!wasRefused) slow += 1;
    await sendOneByOne(part, wasRefused);
    if (!wasRefused) slow -= 1;
    release(part);
    dispatch();
  }

  async function sendOneByOne(part: GroupPart, wasRefused: boolean): Promise<void> {
    for (const append of part.appends) {
      if (!append.isGone) part.reached = (await sendOne(append, wasRefused)) ?? part.reached;
    }
  }

  /** @returns the version that the aggregate has reached, as far as it was told */
  async function sendOne(append: QueuedAppend, wasRefused: boolean): Promise<number | undefined> {
    backlog.delete(append);
    try {
      const result = await appendEvents(execute, { ...append.request, wasRefused });
      append.resolve(result);
      return result.toVersion;
    } catch (error) {
      append.reject(error);
      return error instanceof ConcurrencyConflictError ? error.actual : undefined;
    }
  }

  /** What has waited behind goes first: it came before all that still waits for the same aggregate. */
  function release({ key, reached = 0 }: Pick<GroupPart, "key" | "reached">): void {
    const behind = held.get(key) ?? [];
    held.delete(key);
    if (behind.length === 0) return;
    const next: QueuedAppend[] = [];
    for (const append of behind) {
      // Versions only grow: all that is left for it is to be told why.
      const isLate = append.expected !== null && append.expected < reached;
      if (isLate && !append.isGone) void sendOne(append, true);
      else next.push(append);
    }
    waiting = [...next, ...waiting];
  }

  return {
    async append(request) {
      const { aggregateType, aggregateId } = request.input.aggregate;
      // Neither of the two holds a NUL.
      const key = `${aggregateType}\0${aggregateId}`;
      // The usual case where there is no crowd: past everything that is there for one.
      if (waiting.length === 0 && !held.has(key) && hasRoomForLone() && !isLarge(request.input, BOUNDS)) {
        held.set(key, []);
        return sendLone(request, key);
      }
      const expected = resolveExpectedVersion(request.expectedVersion);
      return new Promise<AppendResult>((resolve, reject) => {
        const append = { request, expected, key, queuedAt: performance.now(), resolve, reject, isGone: false };
        backlog.add(append);
        waiting.push(append);
        dispatch();
      });
    },
  };
}
