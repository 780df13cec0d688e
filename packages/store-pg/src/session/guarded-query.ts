import { UnsupportedError } from "@pup/core";
import { type Query, swallow } from "./query.ts";

/** Decides, when a query is executed, where it goes: to a session, or back with an error. */
export type Dispatch = (query: Query) => void;

/** Runs a query in slices of `size` rows. */
export type OpenCursor = (query: Query, size: number) => AsyncIterable<readonly unknown[]>;

type OnRow = (row: unknown, result: unknown) => void;
type OnSlice = (rows: readonly unknown[]) => unknown;

export const COPY_UNSUPPORTED = "COPY from and to the client is not available here: use a client of your own for it.";
const CANCEL_UNSUPPORTED = "A single query cannot be cancelled here: abort the signal of its transaction.";

/**
 * Puts a query of postgres.js under our control: it goes where `dispatch` sends it, at the time it is executed and not
 * before.
 *
 * Replaced is what postgres.js does behind the query's back. `cancel()` opens a second connection and hits whatever runs
 * on the backend by then. COPY streams, and cursors that are left after their connection was lost, end the process; a
 * cursor read on after a loss says that it has come to its end.
 */
export function guardQuery(query: Query, dispatch: Dispatch, openCursor: OpenCursor): Query {
  const forEach = (query as unknown as { forEach: (onRow: OnRow) => Promise<unknown> }).forEach.bind(query);
  return Object.assign(query, {
    handler(executed: Query): void {
      swallow(executed);
      dispatch(executed);
    },
    forEach: (onRow: OnRow) => eachRow(forEach, onRow),
    cursor(first: number | OnSlice = 1, second?: OnSlice) {
      const [size, onSlice] = typeof first === "function" ? [1, first] : [first, second];
      const slices = openCursor(query, size);
      return onSlice === undefined ? slices : eachSlice(slices, onSlice);
    },
    cancel(): never {
      throw new UnsupportedError(CANCEL_UNSUPPORTED);
    },
    readable: () => Promise.reject(new UnsupportedError(COPY_UNSUPPORTED)),
    writable: () => Promise.reject(new UnsupportedError(COPY_UNSUPPORTED)),
  });
}

/** A callback that throws must not look like a failure of the protocol, so it is caught here and thrown when the rows are over. */
async function eachRow(forEach: (onRow: OnRow) => Promise<unknown>, onRow: OnRow): Promise<unknown> {
  let failure: { readonly error: unknown } | undefined;
  const result = await forEach((row, meta) => {
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
