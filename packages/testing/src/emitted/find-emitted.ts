import { inspect } from "node:util";
import type { EventRecording, Recorded } from "../record-events.ts";
import { fitsPattern, type PayloadPattern } from "./payload-pattern.ts";

/** Events shown in a message at most: the newest ones. */
const MOST_SHOWN = 40;

/** What was looked for among the recorded events, what was found, and how to say so. */
export interface Finding {
  /** How many fit. */
  readonly count: number;
  /** What was looked for, in words: `"batch:committed" with { consumer: 'orders.v1' }`. */
  readonly wanted: string;
  /** Everything that was recorded, a line for each event; those that fit are marked. */
  readonly list: string;
}

/** Looks among the recorded events for those with a name and, where there is a pattern, a payload that fits. */
export function findEmitted<Events, Name extends keyof Events>(
  recorded: EventRecording<Events>,
  name: Name,
  pattern?: PayloadPattern<Events[Name]>,
): Finding {
  const fits = (event: Recorded<Events>) =>
    event.name === name && (pattern === undefined || fitsPattern(event.payload as Events[Name], pattern));
  const count = recorded.all.filter(fits).length;
  const wanted = `"${String(name)}"${pattern === undefined ? "" : ` with ${show(pattern)}`}`;
  return { count, wanted, list: list(recorded.all, fits) };
}

function list<Events>(all: readonly Recorded<Events>[], fits: (event: Recorded<Events>) => boolean): string {
  if (all.length === 0) return "Nothing was emitted.";
  const hidden = Math.max(0, all.length - MOST_SHOWN);
  const lines = all
    .slice(hidden)
    .map((event) => `${fits(event) ? "→" : " "} ${String(event.name)} ${show(event.payload)}`);
  const earlier = hidden > 0 ? [`  … ${hidden} earlier ones`] : [];
  return [`Emitted (${all.length}):`, ...earlier, ...lines].join("\n");
}

/** On one line, and of an error no more than its name and message. */
function show(value: unknown): string {
  if (typeof value === "function") return "what the function asks for";
  const entries = Object.entries(value as object).map(([key, part]) => `${key}: ${showPart(part)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

function showPart(part: unknown): string {
  if (part instanceof Error) return `${part.name}: ${part.message}`;
  return inspect(part, { depth: 4, breakLength: Number.POSITIVE_INFINITY, compact: true });
}
