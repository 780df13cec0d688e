import { UnsupportedError } from "@pup/core";
import { fail, type Query } from "./query.ts";

/** Decides, when a query is executed, where it goes: to a session, or back with an error. */
export type Dispatch = (query: Query) => void;

/** Runs a query in slices of `size` rows. */
export type OpenCursor = (query: Query, size: number) => AsyncIterable<readonly unknown[]>;

type OnRow = (row: unknown, result: unknown) => void;
type OnSlice = (rows: readonly unknown[]) => unknown;

export const COPY_UNSUPPORTED = "COPY from and to the client is not available here: use a client of your own for it.";
const CANCEL_UNSUPPORTED = "A single query cannot be cancelled here: abort the signal of its transaction.";

/**
 * Puts queries of postgres.js under our control: they go where `dispatch` sends them, at the time they are executed and not
 * before.
 *
 * Replaced is what postgres.js does behind a query's back. `cancel()` opens a second connection and hits whatever runs on
 * the backend by then. COPY streams, and cursors that are left after their connection was lost, end the process; a cursor
 * read on after a loss says that it has come to its end.
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
    readable: () => Promise.reject(new UnsupportedError(COPY_UNSUPPORTED)),
    writable: () => Promise.reject(new UnsupportedError(COPY_UNSUPPORTED)),
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
