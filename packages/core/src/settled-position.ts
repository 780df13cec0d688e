import type { GlobalPosition } from "./event.ts";
import type { InFlightAppenders, PositionScan } from "./event-log.ts";

/**
 * How far the log is known to be settled: nothing at or below `position` can appear any more.
 *
 * A position is drawn before its transaction commits, so a lower one can become visible after a higher one. But whoever has
 * drawn one holds a lock on the table until the transaction's outcome is visible. So, at a hole: remember the highest
 * position seen, then, in a **later** statement, who holds that lock; when those have ended, everything up to the remembered
 * position is either visible or will never be. What becomes visible behind it meanwhile is remembered in the same way.
 *
 * Plain data and pure functions: whoever feeds them decides when to look. The order of looking is the caller's part:
 * what {@link observeAppenders} gets must come from a statement that began after the scan before it had returned.
 */
export interface SettledState {
  readonly position: GlobalPosition;
  /** The hole being waited for; null when everything seen so far is settled. */
  readonly hole: OpenHole | null;
  /**
   * What became visible behind the hole, in position order: each part has those to wait for that were in flight when it was first
   * seen. If all of it waited for the hole first, and only then looked who is in flight, everything would wait for whoever began
   * meanwhile: where some transaction or other is always open, twice as long.
   */
  readonly behind: readonly OpenHole[];
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
  return toState(greatestCheckpoint, latest > greatestCheckpoint ? [openHole(latest)] : []);
}

/** Takes in what lies above the settled position. A run without holes is settled at once. */
export function observeScan(
  state: SettledState,
  scan: Pick<PositionScan, "contiguous" | "hole" | "highest">,
): SettledState {
  const position = scan.contiguous > state.position ? scan.contiguous : state.position;
  const holes = holesOf(state).filter(({ upTo }) => upTo > position);
  const seen = holes.at(-1)?.upTo ?? position;
  const isNew = scan.highest > seen && (holes.length > 0 || scan.hole);
  return toState(position, isNew ? [...holes, openHole(scan.highest)] : holes);
}

/** Takes in who is in flight. Closes each hole whose awaited have all ended. */
export function observeAppenders(
  state: SettledState,
  { appenders }: Pick<InFlightAppenders, "appenders">,
): SettledState {
  if (!state.hole) return state;

  const holes = holesOf(state).map((hole) => awaitFewer(hole, appenders));
  const closed = holes.findLast(({ waitingFor }) => waitingFor?.size === 0);
  const position = closed?.upTo ?? state.position;
  return toState(
    position,
    holes.filter(({ upTo }) => upTo > position),
  );
}

/** The hole, with whom it waits for now; nobody when it is closed. */
function awaitFewer(hole: OpenHole, appenders: InFlightAppenders["appenders"]): OpenHole {
  // Those that came after the first look drew their positions above `upTo`: they do not matter.
  const awaited = appenders.filter(({ id }) => hole.waitingFor === null || hole.waitingFor.has(id));
  if (awaited.length > 0 || hole.preparedAdded) return { ...hole, waitingFor: idsOf(awaited) };
  // One of those waited for may have been prepared meanwhile, which gave it another id.
  return { ...hole, waitingFor: idsOf(appenders.filter(({ prepared }) => prepared)), preparedAdded: true };
}

function holesOf({ hole, behind }: SettledState): readonly OpenHole[] {
  return hole ? [hole, ...behind] : [];
}

/** Of neighbours that wait for the same, the last one says it all. The first stays what it is: it is known by its `upTo`. */
function toState(position: GlobalPosition, [hole, ...rest]: readonly OpenHole[]): SettledState {
  const behind = rest.filter((each, index) => !waitForTheSame(each, rest[index + 1]));
  return { position, hole: hole ?? null, behind };
}

function waitForTheSame(one: OpenHole, other: OpenHole | undefined): boolean {
  if (other === undefined || one.preparedAdded !== other.preparedAdded) return false;
  if (one.waitingFor === null || other.waitingFor === null) return one.waitingFor === other.waitingFor;
  const { waitingFor } = other;
  return one.waitingFor.size === waitingFor.size && [...one.waitingFor].every((id) => waitingFor.has(id));
}

function idsOf(appenders: InFlightAppenders["appenders"]): ReadonlySet<string> {
  return new Set(appenders.map(({ id }) => id));
}

function openHole(upTo: GlobalPosition): OpenHole {
  return { upTo, waitingFor: null, preparedAdded: false };
}
