/**
 * Matchers for recorded events, in vitest: importing this is all it takes.
 *
 * @example
 * ```ts
 * import "@pup/testing/vitest";
 *
 * expect(recorded).toHaveEmitted("batch:committed", { consumer: "orders.v1" });
 * ```
 *
 * @module
 */
import { expect } from "vitest";
import { emitterMatchers } from "../emitted/emitter-matchers.ts";
import type { PayloadPattern } from "../emitted/payload-pattern.ts";
import type { EventRecording } from "../record-events.ts";

expect.extend(emitterMatchers);

/** Names of the events that are recorded by what is expected something of; none where it is no recording. */
export type EmittedName<Received> = Received extends EventRecording<infer Events> ? keyof Events : never;

/** What a payload should look like. */
export type EmittedPattern<Received, Name> =
  Received extends EventRecording<infer Events>
    ? Name extends keyof Events
      ? PayloadPattern<Events[Name]>
      : never
    : never;

declare module "vitest" {
  // The parameters and their bounds have to be those of vitest's own declaration.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /** An event with this name, and a payload with these parts, was emitted at least once. */
    toHaveEmitted<Name extends EmittedName<T>>(name: Name, payload?: EmittedPattern<T, Name>): R;
    /** The same, exactly so many times. */
    toHaveEmittedTimes<Name extends EmittedName<T>>(times: number, name: Name, payload?: EmittedPattern<T, Name>): R;
  }
}
