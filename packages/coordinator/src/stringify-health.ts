import type { WorkerHealth } from "./health.ts";

/**
 * Prints health as JSON, which has no place for positions and errors as they are: positions become decimal strings, errors become
 * their name, code and message. A message is whatever your handler threw: think of who can read it.
 *
 * @param space - as of `JSON.stringify`: the indentation
 *
 * @example
 * ```ts
 * console.log(stringifyHealth(worker.health(), 2));
 * ```
 */
export function stringifyHealth(health: WorkerHealth, space?: number): string {
  return JSON.stringify(health, (_, value: unknown) => printable(value), space);
}

function printable(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message } = value;
  const { code } = value as { code?: unknown };
  return typeof code === "string" ? { name, code, message } : { name, message };
}
