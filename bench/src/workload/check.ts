/**
 * Compares what was done with what was to be done.
 *
 * @throws Error when they differ
 */
export function check(what: string, actual: number, expected: number): void {
  if (actual !== expected || expected === 0) throw new Error(`Expected ${expected} ${what}, found ${actual}.`);
}
