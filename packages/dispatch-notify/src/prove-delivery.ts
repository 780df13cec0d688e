import { UnsupportedError } from "@pup/core";
import type { Heartbeat } from "./heartbeat.ts";
import { type ListenRequest, type ListenSession, openListenSession } from "./listen-session.ts";

/** Time for a notification from one session to the other, in milliseconds. */
const DELIVERY_TIMEOUT_MS = 2_000;

/**
 * Checks that a notification sent elsewhere reaches the session. It is sent through a second connection, open only for this:
 * what a client sends itself comes back with the answer even through a pooler that delivers nothing otherwise.
 *
 * @throws {@link UnsupportedError} when the session is well and nothing arrives
 * @throws the reason when the session was lost meanwhile
 */
export async function proveDelivery(
  session: ListenSession,
  heartbeat: Heartbeat,
  request: Pick<ListenRequest, "server" | "clock" | "signal">,
): Promise<void> {
  const other = await openListenSession({ ...request, channels: [], onNotification: () => undefined });
  let delivered: boolean;
  try {
    delivered = await heartbeat.comesBack(session, other, DELIVERY_TIMEOUT_MS, request.signal);
  } finally {
    await other.close();
  }
  if (delivered) return;
  // A dead connection delivers nothing either: that is no fault of the set-up.
  await checkAnswers(session, heartbeat, request);
  throw new UnsupportedError(
    `Expected a notification to arrive within ${DELIVERY_TIMEOUT_MS} ms, but none did, although LISTEN was accepted. ` +
      "That is what a pooler in transaction mode does, such as PgBouncer: connect to the server itself, " +
      "or use the dispatcher of @pup/dispatch-poll.",
  );
}

/** @throws the reason when the session turns out to be lost, or `signal` aborts */
async function checkAnswers(
  session: ListenSession,
  heartbeat: Heartbeat,
  { clock, signal }: Pick<ListenRequest, "clock" | "signal">,
): Promise<void> {
  const giveUp = () => session.lose(signal.reason);
  const cancel = clock.after(DELIVERY_TIMEOUT_MS, () => session.lose(new Error("The connection does not answer.")));
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    signal.throwIfAborted();
    await session.notify(heartbeat.channel);
    session.lost.throwIfAborted();
  } finally {
    cancel();
    signal.removeEventListener("abort", giveUp);
  }
}
