import {
  type BackOffBounds,
  backOffMs,
  createEvents,
  createOutageLog,
  createPulse,
  type Dispatcher,
  type DispatcherContext,
  type DispatcherEvents,
  InvalidStateError,
  type Pulse,
  parseControlSignal,
  StartAbortedError,
  sleep,
} from "@pup/core";
import { describeError, toSetupError } from "./connection-error.ts";
import { createHeartbeat } from "./heartbeat.ts";
import { type ListenSession, openListenSession } from "./listen-session.ts";
import { type NotifyDispatcherOptions, resolveOptions } from "./options.ts";
import { proveDelivery } from "./prove-delivery.ts";
import { reconcile } from "./reconcile.ts";

const backOff: BackOffBounds = { initialMs: 100, maxMs: 5_000 };

/** A session that lived shorter than this, in milliseconds, counts as a failed attempt: some connect and drop at once. */
const STABLE_AFTER_MS = 10_000;

/**
 * Creates a dispatcher that listens on a channel of PostgreSQL, on a session of its own.
 *
 * @example
 * ```ts
 * const dispatcher = createNotifyDispatcher({ connection: "postgres://localhost/shop" });
 * const worker = createWorker({ store, dispatcher, consumers });
 * ```
 *
 * @throws InvalidOptionError when an option has a value that cannot work
 */
export function createNotifyDispatcher(options: NotifyDispatcherOptions): Dispatcher {
  const { server, channel, reconcileIntervalMs, notifyHeartbeatMs } = resolveOptions(options);
  const events = createEvents<DispatcherEvents>();
  const stopping = new AbortController();
  let starting: Promise<void> | undefined;
  let running: Promise<void> = Promise.resolve();
  let problem: string | null = "It has not been started.";
  // Of asking: what listens is watched by its own heartbeat, which declares a session lost that says nothing.
  let pulse: Pulse | null = null;

  /** Opens a session, one after the other, until it is stopped. Rejects when the first one could never work. */
  const listen = async (context: DispatcherContext, connected: () => void): Promise<void> => {
    const { clock, random, logger } = context;
    const { signal } = stopping;
    const outages = createOutageLog(logger, clock);
    const heartbeat = createHeartbeat(`pup_heartbeat_${random.uuid()}`, clock);
    let proven = false;
    let attempt = 0;
    let failures = 0;

    const onNotification = (from: string, payload: string) => {
      if (signal.aborted) return;
      if (from === heartbeat.channel) return heartbeat.arrived();
      const control = parseControlSignal(payload);
      // Whatever else is sent by hand or by a trigger: to look once too often costs little.
      if (control) context.control(control);
      else context.wake();
    };

    const tellConnected = () => {
      problem = null;
      events.emit("dispatcher:connected", { attempt });
      outages.works({ channel, attempt }, "listening");
      attempt = 0;
      connected();
      // Notifications were missed while nobody listened.
      context.wake();
    };

    const serve = async (session: ListenSession) => {
      if (!proven) await proveDelivery(session, heartbeat, { server, clock, signal });
      proven = true;
      signal.throwIfAborted();
      // A session that listens need not hear anything: a server whose queue of notifications is full takes none.
      await heartbeat.keepUp(session, notifyHeartbeatMs, AbortSignal.any([session.lost, signal]), tellConnected);
      session.lost.throwIfAborted();
    };

    while (!signal.aborted) {
      attempt += 1;
      const beganAtMs = clock.now();
      try {
        const channels = [channel, heartbeat.channel];
        const session = await openListenSession({ server, channels, onNotification, clock, signal });
        try {
          await serve(session);
        } finally {
          await session.close();
        }
      } catch (error) {
        if (signal.aborted) return;
        const setupError = proven ? null : toSetupError(error);
        if (setupError) throw setupError;
        failures = clock.now() - beganAtMs >= STABLE_AFTER_MS && problem === null ? 1 : failures + 1;
        server.tryNextHost();
        const retryInMs = backOffMs(failures, backOff, random);
        problem = `It cannot listen: ${describeError(error)}`;
        events.emit("dispatcher:disconnected", { error, retryInMs });
        outages.failed({ channel, err: error, failures, retryInMs }, "not listening");
        await sleep(clock, retryInMs, signal);
      }
    }
  };

  const start = async (context: DispatcherContext) => {
    if (stopping.signal.aborted) throw new InvalidStateError("Expected a dispatcher that has not been stopped.");
    problem = "It is connecting.";
    const { promise: connected, resolve } = Promise.withResolvers<void>();
    const listening = listen(context, resolve);
    running = listening.catch(() => undefined);
    // Not waited for when it is stopped: the store may never answer.
    pulse = createPulse(context.clock);
    void reconcile(context, pulse, reconcileIntervalMs, stopping.signal);
    try {
      // `listening` ends before `connected` only when it fails or is stopped.
      await Promise.race([
        connected,
        listening.then(() => Promise.reject(new StartAbortedError("The dispatcher was stopped."))),
      ]);
    } catch (error) {
      stopping.abort();
      problem = `It cannot listen: ${describeError(error)}`;
      throw error;
    }
  };

  return {
    events,
    start(context) {
      starting ??= start(context);
      return starting;
    },
    async stop() {
      stopping.abort();
      problem = "It has been stopped.";
      await running;
    },
    health: () => ({
      healthy: problem === null,
      problem,
      pulse: stopping.signal.aborted ? null : (pulse?.reading ?? null),
    }),
  };
}
