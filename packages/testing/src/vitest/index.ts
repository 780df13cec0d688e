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
import type { EmittedName, EmittedPattern } from "../emitted/emitted-types.ts";
import { emitterMatchers } from "../emitted/emitter-matchers.ts";

expect.extend(emitterMatchers);

declare module "vitest" {
  // The parameters and their bounds have to be those of vitest's own declaration.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /** An event with this name, and a payload with these parts, was emitted at least once. */
    toHaveEmitted<Name extends EmittedName<T>>(name: Name, payload?: EmittedPattern<T, Name>): R;
    /** The same, exactly so many times. */
    toHaveEmittedTimes<Name extends EmittedName<T>>(times: number, name: Name, payload?: EmittedPattern<T, Name>): R;
  }
}
