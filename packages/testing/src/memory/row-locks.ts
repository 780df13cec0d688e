import { MemoryDeadlockError } from "./errors.ts";

/** Whoever holds row locks: a transaction. Compared by identity. */
export type LockOwner = object;

/** Locks of rows, each held by one owner until it lets go of all of its locks at once. */
export interface RowLocks {
  /**
   * Takes a lock, waiting in line while another owner holds it. Taking it again is free.
   *
   * @throws {@link MemoryDeadlockError} at once when the holder waits, directly or through others, for this owner
   * @throws the reason when `signal` aborts first
   */
  acquire(owner: LockOwner, row: string, signal: AbortSignal): Promise<void>;
  /** Gives all locks of an owner to those next in line. */
  releaseAll(owner: LockOwner): void;
  /** Who holds a row; null when nobody does. */
  holderOf(row: string): LockOwner | null;
}

interface Waiter {
  readonly owner: LockOwner;
  readonly granted: () => void;
}

interface Lock {
  holder: LockOwner;
  readonly line: Waiter[];
}

/** Creates locks for one database. */
export function createRowLocks(): RowLocks {
  const locks = new Map<string, Lock>();
  const awaitedBy = new Map<LockOwner, string>();

  const wouldDeadlock = (owner: LockOwner, row: string): boolean => {
    for (let next: string | undefined = row; next !== undefined; ) {
      const holder: LockOwner | undefined = locks.get(next)?.holder;
      if (holder === owner) return true;
      next = holder && awaitedBy.get(holder);
    }
    return false;
  };

  return {
    async acquire(owner, row, signal) {
      signal.throwIfAborted();
      const lock = locks.get(row);
      if (lock === undefined) {
        locks.set(row, { holder: owner, line: [] });
        return;
      }
      if (lock.holder === owner) return;
      if (wouldDeadlock(owner, row)) throw new MemoryDeadlockError(`Deadlock detected while waiting for ${row}.`);

      awaitedBy.set(owner, row);
      await new Promise<void>((resolve, reject) => {
        const granted = () => {
          signal.removeEventListener("abort", givenUp);
          awaitedBy.delete(owner);
          resolve();
        };
        const givenUp = () => {
          lock.line.splice(lock.line.indexOf(waiter), 1);
          awaitedBy.delete(owner);
          reject(signal.reason);
        };
        const waiter = { owner, granted };
        lock.line.push(waiter);
        signal.addEventListener("abort", givenUp, { once: true });
      });
    },

    releaseAll(owner) {
      for (const [row, lock] of [...locks]) {
        if (lock.holder !== owner) continue;
        const next = lock.line.shift();
        if (next === undefined) {
          locks.delete(row);
        } else {
          lock.holder = next.owner;
          next.granted();
        }
      }
    },

    holderOf: (row) => locks.get(row)?.holder ?? null,
  };
}
