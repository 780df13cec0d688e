/** What is to happen once a transaction has committed. */
export type AfterCommit = Set<() => void>;

// Beside the handle, not on it: it is the user's.
const known = new WeakMap<object, AfterCommit>();

/** Notes which handle belongs to which transaction. */
export function registerAfterCommit(tx: object, afterCommit: AfterCommit): void {
  known.set(tx, afterCommit);
}

/** What is to happen after the commit of a transaction of ours, whichever of its handles is given; undefined for others. */
export function afterCommitOf(tx: object): AfterCommit | undefined {
  return known.get(tx);
}
