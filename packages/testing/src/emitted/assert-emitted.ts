import { AssertionError } from "node:assert";
import type { EventRecording } from "../record-events.ts";
import { findEmitted } from "./find-emitted.ts";
import type { PayloadPattern } from "./payload-pattern.ts";

/**
 * Asserts that an event was emitted: for node:test and for whoever uses no `expect`.
 *
 * @param pattern - the parts of the payload that matter, or a function that says whether it fits. Default: any payload
 * @throws an `AssertionError` that lists what was emitted
 *
 * @example
 * ```ts
 * assertEmitted(recorded, "batch:committed", { consumer: "orders.v1" });
 * ```
 */
export function assertEmitted<Events, Name extends keyof Events>(
  recorded: EventRecording<Events>,
  name: Name,
  pattern?: PayloadPattern<Events[Name]>,
): void {
  const { count, wanted, list } = findEmitted(recorded, name, pattern);
  if (count > 0) return;
  throw new AssertionError({
    message: `Expected ${wanted} to have been emitted, but it was not.\n\n${list}`,
    operator: "assertEmitted",
    stackStartFn: assertEmitted,
  });
}
