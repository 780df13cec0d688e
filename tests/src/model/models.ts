/** Sizes of a model, by the names that the model gives them. */
export type Sizes = Readonly<Record<string, number>>;

/** What is checked as a whole: every order of steps that there is at these sizes. */
export interface Check {
  readonly model: ModelName;
  readonly sizes: Sizes;
  /** It takes so long that compiling it well pays. */
  readonly long: boolean;
}

/** A protection taken out, to show that the model would notice. */
export interface Breakage {
  readonly model: ModelName;
  /** What is missing, as a sentence. */
  readonly what: string;
  /** The smallest sizes at which it does harm: they make the shortest story. */
  readonly sizes: Sizes;
}

export type ModelName = "settled" | "ownership";

/** Minutes altogether. */
export const wholeChecks: readonly Check[] = [
  { model: "settled", sizes: { SLOTS: 3, POSITIONS: 4, RESTARTS: 1, FAILURES: 0 }, long: true },
  { model: "settled", sizes: { SLOTS: 3, POSITIONS: 3, RESTARTS: 1, FAILURES: 1 }, long: true },
  {
    model: "ownership",
    sizes: { WORKERS: 2, EVENTS: 2, TERMS: 1, EPOCHS: 3, CRASHES: 0, SILENCES: 1, LOST: 1 },
    long: true,
  },
  {
    model: "ownership",
    sizes: { WORKERS: 2, EVENTS: 1, TERMS: 2, EPOCHS: 2, CRASHES: 1, SILENCES: 1, LOST: 0 },
    long: true,
  },
  {
    model: "ownership",
    sizes: { WORKERS: 3, EVENTS: 1, TERMS: 1, EPOCHS: 2, CRASHES: 1, SILENCES: 0, LOST: 0 },
    long: true,
  },
];

/** Seconds altogether. */
export const smallChecks: readonly Check[] = [
  { model: "settled", sizes: { SLOTS: 2, POSITIONS: 2, RESTARTS: 1, FAILURES: 1 }, long: false },
  {
    model: "ownership",
    sizes: { WORKERS: 2, EVENTS: 1, TERMS: 1, EPOCHS: 2, CRASHES: 0, SILENCES: 1, LOST: 1 },
    long: false,
  },
];

const twoAppends = { SLOTS: 2, POSITIONS: 2, RESTARTS: 0, FAILURES: 0 };
const twoOwners = { WORKERS: 2, EVENTS: 1, TERMS: 1, EPOCHS: 2, CRASHES: 0, SILENCES: 0, LOST: 0 };

/** Protections that can be taken out. In a model they are `BREAK_` and the name in capitals. */
export const breakages = {
  snapshot: {
    model: "settled",
    what: "pages are read in the snapshot in which the hole was seen",
    sizes: twoAppends,
  },
  order: { model: "settled", what: "who is in flight is asked before the positions are scanned", sizes: twoAppends },
  page: {
    model: "settled",
    what: "a page that was cut moves the checkpoint to the settled position",
    sizes: twoAppends,
  },
  prepared: { model: "settled", what: "nobody looks for those that were prepared meanwhile", sizes: twoAppends },
  restart: {
    model: "settled",
    what: "the tracker does not forget when the server has been restarted",
    sizes: { ...twoAppends, RESTARTS: 1 },
  },
  release: {
    model: "settled",
    what: "the server releases a transaction's locks before its outcome is visible",
    sizes: twoAppends,
  },
  epoch: {
    model: "ownership",
    what: "a take-over raises no epoch, and the fence does not compare positions, which would hide it",
    sizes: twoOwners,
  },
  fence: { model: "ownership", what: "the fence looks at the checkpoint without locking it", sizes: twoOwners },
  position: {
    model: "ownership",
    what: "the fence does not compare how far its owner has come",
    sizes: { ...twoOwners, LOST: 1 },
  },
  term: {
    model: "ownership",
    what: "assignments are written without a look at the term",
    sizes: { ...twoOwners, TERMS: 2 },
  },
} as const satisfies Record<string, Breakage>;

export type BreakageName = keyof typeof breakages;
