import type { OrderPayload } from "../workload/orders.ts";

/** A system whose consumer is running: what is appended comes to a handler by itself. */
export interface LiveSystem {
  /** Appends one event, or adds one job; resolves when it is committed. */
  append(payload: OrderPayload): Promise<unknown>;
  /** Stops the consumer and closes everything. */
  close(): Promise<unknown>;
}

/** What a live system is opened with. */
export interface LiveOptions {
  /** An empty database. */
  readonly url: string;
  /** Connections that append. */
  readonly connections: number;
  /** Called by the handler, with each event's number. */
  readonly onHandled: (number: number) => void;
}

/** Opens a live system. Its consumer may need a moment more before it handles anything. */
export type OpenLive = (options: LiveOptions) => Promise<LiveSystem>;
