import type { Status } from "./status.ts";

/** A count with separators: `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** A time as seconds: ` 7.3 s`. */
export function formatSeconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1).padStart(4)} s`;
}

/** What the producer has done, in one line. */
export function formatProducer({ appended, appendedPerSecond, rolledBack }: Status): string {
  return `${formatCount(appended)} events appended (${formatCount(appendedPerSecond)}/s), ${formatCount(rolledBack)} rolled back`;
}

/** Why consumers may be behind although they have nothing to do; empty when there is no reason. */
export function formatOpenAppend({ openAppendMs }: Status): string {
  if (openAppendMs < 50) return "";
  return `; a slow commit (${(openAppendMs / 1_000).toFixed(1)} s) holds others up`;
}
