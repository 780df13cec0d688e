import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlStateOf, UNIQUE_VIOLATION } from "../sql-state.ts";
import type { GroupPart } from "./append-group.ts";
import {
  appendGroupText,
  type GroupPartJson,
  type GroupPlaceRow,
  type ObstacleRow,
  obstaclesText,
} from "./append-group-statement.ts";
import { toEventsJson } from "./append-input.ts";
import { toAppendResult } from "./append-result.ts";
import { bucketOf } from "./bucket.ts";

/** A part whose appends have to go one by one. */
export interface LeftPart {
  readonly part: GroupPart;
  /** True when it is known that the first attempt would be refused. */
  readonly wasRefused: boolean;
}

/** Sends a group and settles its appends, except for what is left. Never rejects. */
export type SendAppendGroup = (execute: Execute, parts: readonly GroupPart[]) => Promise<readonly LeftPart[]>;

/** What others did that makes a group fail: by now it can be seen which part it concerns. */
const CAUSED_BY_OTHERS = new Set([LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, UNIQUE_VIOLATION]);

/**
 * Makes the sender of a store's groups. One part's fault costs the others a second statement:
 *
 * 1. All together.
 * 2. If that fails because of others, without the parts that they stand in the way of.
 * 3. If that fails as well, or something is wrong with the events themselves, each part by itself, still under the group's
 *    time-out for locks.
 *
 * When a connection is lost, or time runs out, what was in that statement may have been carried out or not: its appends are
 * told so, as if each had been alone, and nothing is tried again.
 */
export function createSendAppendGroup(tables: Tables): SendAppendGroup {
  const appendGroup = appendGroupText(tables);
  const obstacles = obstaclesText(tables);

  async function send(execute: Execute, parts: readonly GroupPart[]): Promise<Attempt> {
    try {
      const rows = await execute<GroupPlaceRow>(appendGroup, [partsJson(parts), stepsJson(parts)]);
      return { outcome: "sent", refused: settle(parts, rows) };
    } catch (error) {
      const state = sqlStateOf(error);
      if (state !== undefined) return { outcome: "failed", state };
      for (const { reject } of parts.flatMap(({ appends }) => appends)) reject(error);
      return { outcome: "sent", refused: [] };
    }
  }

  async function lookForObstacles(execute: Execute, parts: readonly GroupPart[]): Promise<readonly ObstacleRow[]> {
    try {
      return await execute<ObstacleRow>(obstacles, [idsJson(parts)]);
    } catch {
      // It only reads: whatever is wrong shows again, and where it belongs.
      return [];
    }
  }

  return async (execute, parts) => {
    const left: LeftPart[] = [];
    const leave = (refused: readonly GroupPart[]) => {
      for (const part of refused) left.push({ part, wasRefused: true });
    };

    let attempt = await send(execute, parts);
    let open = parts;
    if (attempt.outcome === "failed" && open.length > 1 && CAUSED_BY_OTHERS.has(attempt.state)) {
      const found = new Map((await lookForObstacles(execute, open)).map((row) => [row.n, row]));
      for (const [n, { taken }] of found) left.push({ part: open[n] as GroupPart, wasRefused: taken });
      open = open.filter((_, n) => !found.has(n));
      attempt = open.length > 0 ? await send(execute, open) : { outcome: "sent", refused: [] };
    }
    if (attempt.outcome === "sent") leave(attempt.refused);
    else if (open.length === 1) left.push({ part: open[0] as GroupPart, wasRefused: false });
    else {
      for (const part of open) {
        const alone = await send(execute, [part]);
        if (alone.outcome === "failed") left.push({ part, wasRefused: false });
        else leave(alone.refused);
      }
    }
    return left;
  };
}

/** What became of a statement: its appends are settled but for the refused parts, or the server failed it and nothing has stayed. */
type Attempt =
  | { readonly outcome: "sent"; readonly refused: readonly GroupPart[] }
  | { readonly outcome: "failed"; readonly state: string };

/** Hands each append its places. @returns the parts that were refused */
function settle(parts: readonly GroupPart[], rows: readonly GroupPlaceRow[]): GroupPart[] {
  const refused: GroupPart[] = [];
  let next = 0;
  for (const part of parts) {
    if (rows[next]?.id !== part.appends[0]?.request.input.ids[0]) {
      refused.push(part);
      continue;
    }
    for (const { request, resolve } of part.appends) {
      const { length } = request.input.ids;
      resolve(toAppendResult(request.input, rows.slice(next, next + length), false));
      next += length;
    }
    part.reached = Number(rows[next - 1]?.version);
  }
  return refused;
}

function partsJson(parts: readonly GroupPart[]): string {
  const texts = parts.map((part) => {
    const { aggregate } = firstInput(part);
    const fields: GroupPartJson = {
      type: aggregate.aggregateType,
      id: aggregate.aggregateId,
      bucket: bucketOf(aggregate),
      count: part.count,
      initial: part.expected === null || part.expected === 0 ? part.count : 0,
    };
    const events = part.appends.map(({ request }) => toEventsJson(request.input.texts)).join();
    return `${JSON.stringify(fields).slice(0, -1)},"events":[${events}]}`;
  });
  return `[${texts.join()}]`;
}

type Steps = Record<string, Record<string, Record<number, number>>>;

function stepsJson(parts: readonly GroupPart[]): string {
  // Without a prototype: a type may have any name.
  const steps = Object.create(null) as Steps;
  for (const part of parts) {
    if (part.expected === null) continue;
    const { aggregateType, aggregateId } = firstInput(part).aggregate;
    steps[aggregateType] ??= Object.create(null) as Steps[string];
    const ofType = steps[aggregateType] as Steps[string];
    ofType[aggregateId] = { [part.expected]: part.count };
  }
  return JSON.stringify(steps);
}

function idsJson(parts: readonly GroupPart[]): string {
  return JSON.stringify(
    parts.map((part) => ({
      type: firstInput(part).aggregate.aggregateType,
      id: firstInput(part).aggregate.aggregateId,
      ids: part.appends.flatMap(({ request }) => (request.input.hasGivenIds ? request.input.ids : [])),
    })),
  );
}

function firstInput({ appends }: GroupPart) {
  return (appends[0] as (typeof appends)[number]).request.input;
}
