import { type CheckpointStore, type Clock, FencedError, type GlobalPosition, type Logger } from "@pup/core";

/** What the saver needs. */
export interface CheckpointSaverOptions {
  readonly store: Pick<CheckpointStore, "advance">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Saves how far consumers have come over events that they do not want: all of a process in one statement, at most once a
 * second. Losing such a save costs a second look at the same stretch of the log, never an event.
 */
export interface CheckpointSaver {
  /**
   * Notes a position to be saved before long; it is tried again until it is saved, settled or forgotten.
   *
   * @throws {@link FencedError} when an earlier save was refused because another epoch is the present one
   */
  note(consumer: string, epoch: number, position: GlobalPosition): void;
  /**
   * Drops what is noted for a consumer and waits until no save of it is on its way: its row must not be asked for while a
   * batch holds it, or the save would wait for the batch and keep the other consumers' rows locked meanwhile.
   *
   * @throws {@link FencedError} as {@link CheckpointSaver.note}
   */
  settle(consumer: string, epoch: number): Promise<void>;
  /** Saves one consumer's noted position now, or forgets it. Same errors. */
  flush(consumer: string, epoch: number): Promise<void>;
  /** Drops what is noted for a consumer. */
  forget(consumer: string): void;
}

const SAVE_EVERY_MS = 1_000;

/** Creates the saver of one worker. */
export function createCheckpointSaver({ store, clock, logger }: CheckpointSaverOptions): CheckpointSaver {
  const noted = new Map<string, { readonly epoch: number; readonly position: GlobalPosition }>();
  const fenced = new Map<string, number>();
  let saving: Promise<void> | null = null;
  let cancelTimer: (() => void) | null = null;

  async function save(consumers: readonly string[]): Promise<void> {
    const notes = consumers.flatMap((consumer) => {
      const note = noted.get(consumer);
      return note ? [{ consumer, note }] : [];
    });
    if (notes.length === 0) return;
    const refused = await store.advance(notes.map(({ consumer, note }) => ({ consumer, ...note })));
    for (const { consumer, note } of notes) {
      if (noted.get(consumer) === note) noted.delete(consumer);
      if (refused.includes(consumer)) fenced.set(consumer, note.epoch);
    }
  }

  /** One save at a time: two in flight could lock the same rows in different orders. */
  async function saveInTurn(consumers: () => readonly string[]): Promise<void> {
    while (saving) await saving;
    saving = save(consumers())
      .catch((error: unknown) => logger.debug({ err: error }, "checkpoints were not saved; it is tried again"))
      .finally(() => {
        saving = null;
        schedule();
      });
    await saving;
  }

  function schedule(): void {
    if (cancelTimer || noted.size === 0) return;
    cancelTimer = clock.after(SAVE_EVERY_MS, () => {
      cancelTimer = null;
      void saveInTurn(() => [...noted.keys()]);
    });
  }

  function forget(consumer: string): void {
    noted.delete(consumer);
    if (noted.size > 0) return;
    cancelTimer?.();
    cancelTimer = null;
  }

  function refuseFenced(consumer: string, epoch: number): void {
    if (fenced.get(consumer) !== epoch) return;
    fenced.delete(consumer);
    throw new FencedError(consumer, epoch);
  }

  return {
    note(consumer, epoch, position) {
      refuseFenced(consumer, epoch);
      noted.set(consumer, { epoch, position });
      schedule();
    },
    async settle(consumer, epoch) {
      forget(consumer);
      while (saving) await saving;
      refuseFenced(consumer, epoch);
    },
    async flush(consumer, epoch) {
      await saveInTurn(() => [consumer]);
      forget(consumer);
      refuseFenced(consumer, epoch);
    },
    forget,
  };
}
