import type { EventRecording } from "../record-events.ts";
import type { PayloadPattern } from "./payload-pattern.ts";

/** Names of the events that are recorded by what is expected something of; none where it is no recording. */
export type EmittedName<Received> = Received extends EventRecording<infer Events> ? keyof Events : never;

/** What a payload should look like. */
export type EmittedPattern<Received, Name> =
  Received extends EventRecording<infer Events>
    ? Name extends keyof Events
      ? PayloadPattern<Events[Name]>
      : never
    : never;
