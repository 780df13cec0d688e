import type { GlobalPosition } from "./event.ts";
import type { InFlightAppenders, PositionScan } from "./event-log.ts";

/**
 * How far the log is known to be settled: nothing at or below `position` can appear any more.
 *
 * A position is drawn before its transaction commits, so a lower one can become visible after a higher one. But whoever has
 * drawn one holds a lock on the table until the transaction's outcome is visible. So, at a hole: remember the highest
 * position seen, then, in a **later** statement, who holds that lock; when those have ended, everything up to the remembered
 * position is either visible or will never be.
 *
 * Plain data and pure functions: whoever feeds them decides when to look. The order of looking is the caller's part:
 * what {@link observeAppenders} gets must come from a statement that began after the scan before it had returned.
 */
export interface SettledState {
  readonly position: GlobalPosition;
  /** The hole being waited for; null when everything seen so far is settled. */
  readonly hole: OpenHole | null;
}

/** A hole, and whose end settles it. */
export interface OpenHole {
  /** Highest position that was visible when the hole was seen. */
  readonly upTo: GlobalPosition;
  /** Transactions that may have drawn positions below `upTo`; null until looked at. */
  readonly waitingFor: ReadonlySet<string> | null;
  /** Prepared transactions have been added: a transaction changes its id when it is prepared. */
  readonly preparedAdded: boolean;
}

/**
 * Where to begin: the greatest checkpoint is settled because only settled positions are saved, and everything visible above it
 * is treated as one hole, so that nothing has to be scanned.
 */
export function beginSettling(greatestCheckpoint: GlobalPosition, latest: GlobalPosition): SettledState {
  return latest > greatestCheckpoint
    ? { position: greatestCheckpoint, hole: openHole(latest) }
    : { position: greatestCheckpoint, hole: null };
}

/** Takes in what lies above the settled position. A run without holes is settled at once. */
export function observeScan(
  state: SettledState,
  scan: Pick<PositionScan, "contiguous" | "hole" | "highest">,
): SettledState {
  const position = scan.contiguous > state.position ? scan.contiguous : state.position;
  if (state.hole && state.hole.upTo > position) return { position, hole: state.hole };
  return { position, hole: scan.hole && scan.highest > position ? openHole(scan.highest) : null };
}

/** Takes in who is in flight. Closes the hole when all it waited for have ended. */
export function observeAppenders(
  state: SettledState,
  { appenders }: Pick<InFlightAppenders, "appenders">,
): SettledState {
  const { hole } = state;
  if (!hole) return state;

  // Those that came after the first look drew their positions above `upTo`: they do not matter.
  const awaited = appenders.filter(({ id }) => hole.waitingFor === null || hole.waitingFor.has(id));
  let waitingFor = new Set(awaited.map(({ id }) => id));
  let preparedAdded = hole.preparedAdded;

  if (waitingFor.size === 0 && !preparedAdded) {
    // One of those waited for may have been prepared meanwhile, which gave it another id.
    waitingFor = new Set(appenders.filter(({ prepared }) => prepared).map(({ id }) => id));
    preparedAdded = true;
  }
  if (waitingFor.size === 0) return { position: hole.upTo, hole: null };
  return { position: state.position, hole: { upTo: hole.upTo, waitingFor, preparedAdded } };
}

function openHole(upTo: GlobalPosition): OpenHole {
  return { upTo, waitingFor: null, preparedAdded: false };
}
