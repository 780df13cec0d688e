import { type GlobalPosition, PupError, type WorkerStore } from "@pup/core";

/** A batch was handled, and its commit did not get through. Passes by itself. */
class CommitLostError extends PupError {
  override readonly name = "CommitLostError";
  readonly code = "PUP_TEST_COMMIT_LOST";
}

/**
 * Makes every batch fail once after it was handled: its transaction rolls back, or where there is none, its checkpoint is not
 * saved, as when the connection breaks at the worst moment. The worker handles the same events again.
 */
export function loseCommits<Tx>(store: WorkerStore<Tx>): WorkerStore<Tx> {
  const lost = new Set<GlobalPosition>();
  /** Where batches may end that had events: what else is saved are steps over events out of scope. */
  const ends = new Set<GlobalPosition>();

  const loseOnce = (to: GlobalPosition) => {
    if (!ends.has(to) || lost.has(to)) return;
    lost.add(to);
    throw new CommitLostError("The connection broke after the events were handled: this step asks for a redelivery.");
  };

  const changes: Partial<WorkerStore<Tx>> = {
    async readLog(request) {
      const page = await store.readLog(request);
      return {
        ...page,
        async events(from, to = page.positions.length) {
          const events = await page.events(from, to);
          const last = events.at(-1);
          if (last) ends.add(to === page.positions.length ? page.through : last.globalPosition);
          return events;
        },
      };
    },
    // Brings no events along: all of them are to be read as above.
    scanPositions: (after) => store.scanPositions(after),
    runBatch: (batch, work) =>
      store.runBatch(batch, async (tx, letters) => {
        await work(tx, letters);
        loseOnce(batch.to);
      }),
    async advance(advances) {
      for (const { position } of advances) loseOnce(position);
      return store.advance(advances);
    },
    isTransient: (error) => error instanceof CommitLostError || store.isTransient(error),
  };
  // Not a copy: a store may be an instance of a class.
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(key in changes ? changes : target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
