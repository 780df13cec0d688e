import type { AppendResult } from "@pup/core";
import type { AppendRequest } from "./append-events.ts";
import type { AppendInput } from "./append-input.ts";

/** An append on its way, and the promise that its caller was given. */
export interface QueuedAppend {
  readonly request: AppendRequest;
  /** Version that the aggregate must have; null for any. */
  readonly expected: number | null;
  /** Tells its aggregate from others. */
  readonly key: string;
  /** By `performance.now()`. */
  readonly queuedAt: number;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
  /** True when it must not be sent any more: its caller has been told. */
  isGone: boolean;
}

/** Appends to one aggregate that travel together, in the order in which they came. */
export interface GroupPart {
  readonly key: string;
  readonly appends: QueuedAppend[];
  /** Version that the aggregate must have before the first of them; null for any. */
  readonly expected: number | null;
  /** Events of all of them. */
  count: number;
  /** Version that the aggregate has reached, as far as it is known. */
  reached?: number;
}

/** What one group may carry. */
export interface GroupBounds {
  readonly maxAppends: number;
  readonly maxEvents: number;
  /** Characters of payloads and metadata. */
  readonly maxLength: number;
}

/** What goes next. */
export interface GroupPlan {
  /** One for each aggregate: they go in one statement. */
  readonly parts: readonly GroupPart[];
  /** Appends so large that the others would wait for them: each goes by itself. */
  readonly large: readonly QueuedAppend[];
  /** Those that wait until what goes before them in their aggregate has gone through. */
  readonly behind: readonly QueuedAppend[];
  /** Those for which there was no room any more, in their order. */
  readonly rest: QueuedAppend[];
}

/**
 * Decides which appends go next. Each aggregate's keep their order: where one cannot go yet, those behind it do not go either.
 *
 * Several to one aggregate go together if it is certain that they all go through, given that the first one does: each wants
 * any version, or the one that those before it in the group leave behind. What depends on anything else waits.
 *
 * @param isHeld - true for aggregates for which something is under way
 */
export function planGroup(
  waiting: readonly QueuedAppend[],
  isHeld: (key: string) => boolean,
  bounds: GroupBounds,
): GroupPlan {
  const parts = new Map<string, GroupPart>();
  const large: QueuedAppend[] = [];
  const behind: QueuedAppend[] = [];
  const blocked = new Set<string>();
  let appends = 0;
  let events = 0;
  let length = 0;
  let looked = 0;

  for (const append of waiting) {
    const { key } = append;
    const { input } = append.request;
    const part = parts.get(key);
    if (append.isGone) {
      // Its caller does not wait any more.
    } else if (isHeld(key) || blocked.has(key) || (part !== undefined && !follows(append, part, bounds))) {
      blocked.add(key);
      behind.push(append);
    } else if (isLarge(input, bounds)) {
      blocked.add(key);
      large.push(append);
    } else {
      appends += 1;
      events += input.ids.length;
      length += input.length;
      if (appends > bounds.maxAppends || events > bounds.maxEvents || length > bounds.maxLength) break;
      if (part === undefined) {
        parts.set(key, { key, appends: [append], expected: append.expected, count: input.ids.length });
      } else {
        part.appends.push(append);
        part.count += input.ids.length;
      }
    }
    looked += 1;
  }
  return { parts: [...parts.values()], large, behind, rest: waiting.slice(looked) };
}

/** True when others would wait for it: it takes up a quarter of a group or more. */
export function isLarge({ ids, length }: AppendInput, { maxEvents, maxLength }: GroupBounds): boolean {
  return ids.length > maxEvents / 4 || length > maxLength / 4;
}

/** True when the append goes through if the part does, and may go with it. */
function follows({ expected, request }: QueuedAppend, part: GroupPart, bounds: GroupBounds): boolean {
  if (isLarge(request.input, bounds)) return false;
  const fits = expected === null || (part.expected !== null && expected === part.expected + part.count);
  // A caller's second try while the first is still on its way: it has to find it there.
  return fits && !part.appends.some((other) => shareIds(other.request.input, request.input));
}

function shareIds(one: AppendInput, other: AppendInput): boolean {
  return one.hasGivenIds && other.hasGivenIds && one.ids.some((id) => other.ids.includes(id));
}
