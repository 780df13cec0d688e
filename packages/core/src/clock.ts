/** Time, as the parts of a worker see it. The system's in production, one to turn by hand in tests. */
export interface Clock {
  /** Milliseconds that never run backwards; only differences mean something. */
  now(): number;
  /** Calls back once, after `delayMs` milliseconds. Returns the undo. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Chance, as the parts of a worker see it: jitter and ids. Seeded in tests. */
export interface Randomness {
  /** A number in [0, 1). */
  fraction(): number;
  /** A new UUID, version 4. */
  uuid(): string;
}
