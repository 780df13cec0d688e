import type { InFlightAppender, PositionScan } from "./event-log.ts";

/**
 * The log as PostgreSQL keeps it, reduced to what matters for the settled position: a transaction takes the table's lock,
 * then draws positions, then ends; what it wrote becomes visible first, and its lock is free only afterwards.
 */
export interface LogModel {
  /** Takes the lock. */
  begin(): ModelTransaction;
  /** Transactions that have not let go of the lock. */
  readonly open: readonly ModelTransaction[];
  scan(after: bigint): Pick<PositionScan, "contiguous" | "hole" | "highest">;
  appenders(): readonly InFlightAppender[];
  /** Visible positions, in order. */
  visible(): readonly bigint[];
  /** True when nothing at or below the position can appear any more. */
  isSettled(position: bigint): boolean;
}

/** A transaction that appends. */
export interface ModelTransaction {
  readonly state: "open" | "prepared" | "visible" | "over";
  draw(): void;
  /** From now on it goes by another id. */
  prepare(): void;
  /** First half of a commit. */
  becomeVisible(): void;
  /** Second half of a commit, or all of a rollback. */
  letGo(): void;
}

/** Creates an empty log. */
export function createLogModel(): LogModel {
  const visible = new Set<bigint>();
  const open = new Map<ModelTransaction, { positions: bigint[]; id: string }>();
  let lastPosition = 0n;
  let lastId = 0;

  const sorted = () => [...visible].sort((a, b) => (a < b ? -1 : 1));

  return {
    begin() {
      const own = { positions: [] as bigint[], id: `3/${++lastId}` };
      let state: ModelTransaction["state"] = "open";
      const transaction: ModelTransaction = {
        get state() {
          return state;
        },
        draw() {
          if (state === "open") own.positions.push(++lastPosition);
        },
        prepare() {
          if (state !== "open") return;
          state = "prepared";
          own.id = `-1/${++lastId}`;
        },
        becomeVisible() {
          if (state === "over") return;
          state = "visible";
          for (const position of own.positions) visible.add(position);
        },
        letGo() {
          state = "over";
          open.delete(transaction);
        },
      };
      open.set(transaction, own);
      return transaction;
    },
    get open() {
      return [...open.keys()];
    },
    scan(after) {
      let contiguous = after;
      while (visible.has(contiguous + 1n)) contiguous += 1n;
      const highest = sorted().at(-1) ?? 0n;
      return { contiguous, hole: highest > contiguous, highest };
    },
    appenders: () =>
      [...open].map(([transaction, { id }]) => ({
        id,
        prepared: id.startsWith("-1/"),
        pid: id.startsWith("-1/") ? null : 1,
        applicationName: "",
        ageMs: transaction.state === "prepared" ? null : 0,
      })),
    visible: sorted,
    isSettled: (position) =>
      position <= lastPosition &&
      [...open].every(
        ([{ state }, { positions }]) => state === "visible" || positions.every((drawn) => drawn > position),
      ),
  };
}
