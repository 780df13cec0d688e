/** An invariant of the design that is broken. */
export interface Violation {
  /** Which one, by its number in the list of invariants. */
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5" | "I7";
  readonly what: string;
}

/** Told of a broken invariant. The run ends with the first one. */
export type Report = (invariant: Violation["invariant"], what: string) => void;
