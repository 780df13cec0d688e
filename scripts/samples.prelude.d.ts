// What the samples of the pages and doc comments take for given: things of the reader's own.
import type { Worker } from "@pup/coordinator";
import type { AggregateRef, Clock, Consumer, Dispatcher, Logger, NewEvent, WorkerEvents } from "@pup/core";
import type { PgStore, PgTransaction } from "@pup/store-pg";
import type { EventRecording } from "@pup/testing";
import type { DispatcherSetup, StoreSetup } from "@pup/testing/contracts";
import type { PostgresServer } from "@pup/testing/postgres";

interface ReadersTables {
  readonly totals: { orders: number };
}

declare global {
  const store: PgStore<ReadersTables>;
  const tx: PgTransaction<ReadersTables>;
  const worker: Worker;
  const orders: Consumer<unknown>;
  const billing: Consumer<unknown>;
  const consumers: readonly Consumer<unknown>[];
  const dispatcher: Dispatcher;
  const order: AggregateRef;
  const orderPlaced: NewEvent;
  const orderPaid: NewEvent;
  const logger: Logger;
  const clock: Clock;
  const server: PostgresServer;
  const recorded: EventRecording<WorkerEvents>;
  const id: string;
  type Tables = ReadersTables;
  function readSomething(): Promise<boolean>;
  function openMyDispatcher(): Promise<DispatcherSetup>;
  function openMyStore(): Promise<StoreSetup<PgTransaction>>;
}
