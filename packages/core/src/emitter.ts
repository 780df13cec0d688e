import mittModule from "mitt";

// Under NodeNext mitt 3.0.1's default import is typed as its module, while at run time it is the function.
const mitt = mittModule as unknown as typeof mittModule.default;

/** The listening half of an emitter: safe to hand to anyone. */
export interface EventSource<Events> {
  /** Calls `listener` each time; returns its own undo. What a listener throws reaches neither the sender nor its neighbours. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => unknown): () => void;
  /** Calls `listener` for every event, whatever its name; returns its own undo. */
  onAny(listener: <Name extends keyof Events>(name: Name, payload: Events[Name]) => unknown): () => void;
}

/** The sending half of an emitter: stays inside the package that made it. */
export interface EventSink<Events> {
  /** Calls every listener; neither waits for one nor fails with one. */
  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void;
}

/** Settings of {@link createEvents}. */
export interface CreateEventsOptions {
  /** Receives what a listener throws or rejects with. @defaultValue ignored */
  readonly onListenerError?: (error: unknown, name: string) => void;
}

/**
 * Creates a typed emitter.
 *
 * @example
 * ```ts
 * type Events = { "order:placed": { orderId: string } };
 * const events = createEvents<Events>();
 * const off = events.on("order:placed", ({ orderId }) => console.log(orderId));
 * events.emit("order:placed", { orderId: "o-1" });
 * off();
 * ```
 */
export function createEvents<Events extends Record<keyof Events, unknown>>(
  options: CreateEventsOptions = {},
): EventSource<Events> & EventSink<Events> {
  const emitter = mitt<Record<string, unknown>>();

  const contain = (name: string, listen: () => unknown) => {
    const report = (error: unknown) => options.onListenerError?.(error, name);
    try {
      Promise.resolve(listen()).catch(report);
    } catch (error) {
      report(error);
    }
  };

  return {
    emit: (name, payload) => emitter.emit(name as string, payload),
    on(name, listener) {
      const contained = (payload: unknown) => contain(name as string, () => listener(payload as never));
      emitter.on(name as string, contained);
      return () => emitter.off(name as string, contained);
    },
    onAny(listener) {
      const contained = (name: PropertyKey, payload: unknown) =>
        contain(String(name), () => listener(name as keyof Events, payload as never));
      emitter.on("*", contained);
      return () => emitter.off("*", contained);
    },
  };
}
