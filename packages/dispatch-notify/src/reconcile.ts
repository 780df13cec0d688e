import { type DispatcherContext, type GlobalPosition, type Pulse, sleep } from "@pup/core";

/** Asks for the latest position every `intervalMs`, and wakes when it is another one: notifications can get lost. */
export async function reconcile(
  context: DispatcherContext,
  pulse: Pulse,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { clock, logger } = context;
  let seen: GlobalPosition | null = null;

  while (!signal.aborted) {
    const askedAtMs = clock.now();
    pulse.beat(0);
    try {
      const latest = await context.latestPosition();
      if (signal.aborted) return;
      if (latest !== seen) context.wake();
      seen = latest;
    } catch (err) {
      // The store reports its own troubles; asking again is all there is to do.
      logger.debug({ err }, "cannot ask for the latest position");
    }
    const waitMs = Math.max(0, intervalMs - (clock.now() - askedAtMs));
    pulse.beat(waitMs);
    await sleep(clock, waitMs, signal);
  }
}
