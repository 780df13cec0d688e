/**
 * Milliseconds by a clock that all processes of this machine share, that never runs backwards, and that no skewed wall clock
 * touches.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
