/**
 * What workers tell each other beside events, always only a hint: who misses it finds out by asking a little later.
 *
 * - `assignments-changed`: the leader has dealt the consumers out anew
 * - `worker-joined`: the leader should look whom there is
 * - `dead-letters-due`: who runs a consumer should look whether it is to handle some again
 * - `checkpoint-passed`: somebody who waits for a consumer should look how far it is
 */
export type ControlSignal = (typeof controlSignals)[number];

/** Every {@link ControlSignal}. */
export const controlSignals = [
  "assignments-changed",
  "worker-joined",
  "dead-letters-due",
  "checkpoint-passed",
] as const;

/** Payload of the notification that says "there may be new events". Short and always the same, so that equal ones collapse. */
export const EVENTS_SIGNAL = "events";

/** Reads a notification's payload; null for one that is not a control signal. */
export function parseControlSignal(payload: string): ControlSignal | null {
  return controlSignals.find((signal) => signal === payload) ?? null;
}

/** Channel that store and notify dispatcher use unless told otherwise. */
export const DEFAULT_NOTIFY_CHANNEL = "pup_events";
