import {
  BatchTimeoutError,
  type Clock,
  type Consumer,
  type HandlerContext,
  HandlerRejectionError,
  type RecordedEvent,
} from "@pup/core";
import { createTurns } from "./turns.ts";

/** One try of one batch. */
export interface HandlerRun {
  readonly consumer: Consumer<never>;
  readonly events: readonly RecordedEvent[];
  /** What the handler gets, but for the signal. */
  readonly context: Omit<HandlerContext, "signal">;
  /** Time after which the handler's signal aborts, in milliseconds. */
  readonly timeoutMs: number;
  /** Aborts the handler's signal too. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Whether to reject as soon as the signal aborts, instead of waiting for a handler that may go on. */
  readonly abandonable: boolean;
  /** Told which event is about to be handled; null when all have been, or as long as they are handled at once. */
  readonly onEvent?: ((event: RecordedEvent | null) => void) | undefined;
}

/** Calls a consumer's handler for a batch. What it rejects with is an error in any case. */
export async function runHandler(run: HandlerRun): Promise<void> {
  const { consumer, timeoutMs, signal, clock } = run;
  const controller = new AbortController();
  const cancel = clock.after(timeoutMs, () => controller.abort(new BatchTimeoutError(consumer.name, timeoutMs)));
  const giveUp = () => {
    cancel(); // The handler may never settle.
    controller.abort(signal.reason);
  };
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();

  try {
    const handled = handle(run, { ...run.context, signal: controller.signal });
    await (run.abandonable ? Promise.race([handled, rejectOnAbort(controller.signal)]) : handled);
  } catch (error) {
    throw error instanceof Error ? error : new HandlerRejectionError(consumer.name, error);
  } finally {
    cancel();
    signal.removeEventListener("abort", giveUp);
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

async function handle({ consumer, events, onEvent, clock }: HandlerRun, context: HandlerContext): Promise<void> {
  // The declaration says which context the handler takes: one with `tx` only if the consumer is transactional.
  const given = context as never;
  if (consumer.handleBatch) {
    await consumer.handleBatch(events, given);
    return;
  }
  const turns = createTurns(clock);
  try {
    for (const event of events) {
      onEvent?.(event);
      const outcome = consumer.handle(event, given);
      // Waiting for what is not a promise would cost a turn for each event.
      if (outcome instanceof Object && "then" in outcome) await outcome;
      if (turns.areDue) await turns.give(context.signal);
      if (context.signal.aborted) throw context.signal.reason;
    }
  } finally {
    turns.dispose();
  }
  onEvent?.(null);
}
