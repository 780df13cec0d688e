import { UnsupportedError } from "@pup/core";
import { fail, type Query } from "./query.ts";

/** Decides, when a query is executed, where it goes: to a session, or back with an error. */
export type Dispatch = (query: Query) => void;

/** Runs a query in slices of `size` rows. */
export type OpenCursor = (query: Query, size: number) => AsyncIterable<readonly unknown[]>;

type OnRow = (row: unknown, result: unknown) => void;
type OnSlice = (rows: readonly unknown[]) => unknown;

const CANCEL_UNSUPPORTED = "A single query cannot be cancelled here: abort the signal of its transaction.";

/**
 * Puts queries of postgres.js under our control: they go where `dispatch` sends them, at the time they are executed and not
 * before.
 *
 * Replaced is what postgres.js does behind a query's back. `cancel()` opens a second connection and hits whatever runs on
 * the backend by then. A cursor that is left after its connection was lost ends the process; one that is read on says that
 * it has come to its end.
 */
export function createGuard(dispatch: Dispatch, openCursor: OpenCursor): (query: Query) => Query {
  const guarded = {
    handler(executed: Query): void {
      try {
        dispatch(executed);
      } catch (error) {
        // postgres.js would leave it unhandled, and the query unanswered.
        fail(executed, error);
      }
    },
    forEach(this: Query, onRow: OnRow) {
      return eachRow(this, onRow);
    },
    cursor(this: Query, first: number | OnSlice = 1, second?: OnSlice) {
      const [size, onSlice] = typeof first === "function" ? [1, first] : [first, second];
      const slices = openCursor(this, size);
      return onSlice === undefined ? slices : eachSlice(slices, onSlice);
    },
    cancel(): never {
      throw new UnsupportedError(CANCEL_UNSUPPORTED);
    },
  };
  return (query) => Object.assign(query, guarded);
}

/** A callback that throws must not look like a failure of the protocol, so it is caught here and thrown when the rows are over. */
async function eachRow(query: Query, onRow: OnRow): Promise<unknown> {
  let failure: { readonly error: unknown } | undefined;
  const own = Object.getPrototypeOf(query) as { forEach(this: Query, onRow: OnRow): Promise<unknown> };
  const result = await own.forEach.call(query, (row, meta) => {
    if (failure !== undefined) return;
    try {
      onRow(row, meta);
    } catch (error) {
      failure = { error };
    }
  });
  if (failure !== undefined) throw failure.error;
  return result;
}

async function eachSlice(slices: AsyncIterable<readonly unknown[]>, onSlice: OnSlice): Promise<void> {
  for await (const slice of slices) await onSlice(slice);
}
