import type { EventSource } from "@pup/core";

/** One event as it was sent: its name and its payload. */
export type Recorded<Events> = {
  [Name in keyof Events]: { readonly name: Name; readonly payload: Events[Name] };
}[keyof Events];

/** What an emitter has sent since the recording began. */
export interface EventRecording<Events> {
  /** Everything so far, oldest first. */
  readonly all: readonly Recorded<Events>[];
  /** Payloads of the events with this name so far, oldest first. */
  of<Name extends keyof Events>(name: Name): readonly Events[Name][];
  /**
   * Waits for the next event with this name that satisfies the condition; those already recorded do not count.
   * Rejects only with what the condition throws: the test's own timeout ends a wait for what does not come.
   */
  next<Name extends keyof Events>(name: Name, condition?: (payload: Events[Name]) => boolean): Promise<Events[Name]>;
  /** As {@link EventRecording.next}, but an event that is already recorded counts too. */
  first<Name extends keyof Events>(name: Name, condition?: (payload: Events[Name]) => boolean): Promise<Events[Name]>;
  /** Forgets what has been recorded. */
  clear(): void;
  /** Ends the recording. */
  stop(): void;
}

/**
 * Records every event of an emitter, so that a test can look at them and wait for one without sleeping.
 *
 * @example
 * ```ts
 * const recorded = recordEvents(worker.events);
 * await store.append([orderPlaced]);
 * await recorded.next("batch:committed", ({ consumer }) => consumer === "orders.v1");
 * ```
 */
export function recordEvents<Events>(source: EventSource<Events>): EventRecording<Events> {
  const all: Recorded<Events>[] = [];

  const of = <Name extends keyof Events>(name: Name) =>
    all.filter((event) => event.name === name).map((event) => event.payload as Events[Name]);

  const next = <Name extends keyof Events>(name: Name, condition: (payload: Events[Name]) => boolean = () => true) =>
    new Promise<Events[Name]>((resolve, reject) => {
      const off = source.on(name, (payload) => {
        try {
          if (!condition(payload)) return;
          resolve(payload);
        } catch (error) {
          reject(error);
        }
        off();
      });
    });

  const stop = source.onAny((name, payload) => {
    all.push({ name, payload } as Recorded<Events>);
  });

  return {
    all,
    of,
    next,
    async first(name, condition = () => true) {
      return of(name).find(condition) ?? next(name, condition);
    },
    clear() {
      all.length = 0;
    },
    stop,
  };
}
