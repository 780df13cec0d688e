import { createWorker, type Worker, type WorkerOptions } from "@pup/coordinator";
import type { Consumer, Dispatcher, WorkerEvents, WorkerStore } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgStore, type PgTransaction } from "@pup/store-pg";
import { type EventRecording, recordEvents } from "@pup/testing";
import { createDatabase } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";

/** A migrated database, a store on it, and a client of the application's own. */
export interface Parts extends AsyncDisposable {
  readonly url: string;
  readonly store: PgStore;
  readonly sql: Sql;
  /** Starts a worker; it is stopped with the rest. */
  start(options: StartOptions): RunningWorker;
}

/** What {@link Parts.start} takes: worker options, with a poll dispatcher and the store of the parts by default. */
export interface StartOptions extends Partial<WorkerOptions<PgTransaction>> {
  readonly consumers: readonly Consumer<PgTransaction>[];
  readonly store?: WorkerStore<PgTransaction>;
  readonly dispatcher?: Dispatcher;
}

/** A worker that was started, and what it has told so far. */
export interface RunningWorker {
  readonly worker: Worker;
  readonly recorded: EventRecording<WorkerEvents>;
  readonly ended: Promise<void>;
}

/** Opens everything on a fresh database of the server. */
export async function openParts(serverUrl: string, { max = 10, clientMax = 10 } = {}): Promise<Parts> {
  const database = await createDatabase(serverUrl);
  const { url } = database;
  await migrate({ connection: url });
  const store = createPgStore({ connection: url, max, notify: {} });
  const sql = postgres(url, { max: clientMax, onnotice: () => undefined, fetch_types: false });
  const workers: Worker[] = [];

  return {
    url,
    store,
    sql,
    start(options) {
      // Told sooner than by default what to run: where a test is about something else, a second here is a second lost.
      const worker = createWorker({ store, dispatcher: createPollDispatcher(), assignmentPollMs: 50, ...options });
      const recorded = recordEvents(worker.events);
      const ended = worker.start();
      ended.catch(() => undefined); // Tests that expect a failure look at `ended`.
      workers.push(worker);
      return { worker, recorded, ended };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await store.close();
      await sql.end();
      await database.drop();
    },
  };
}

/** Resolves when every one of the consumers has committed at or past the position. */
export async function reached(
  { recorded }: RunningWorker,
  store: Pick<PgStore, "readCheckpoints">,
  consumers: readonly string[],
  position: bigint,
): Promise<void> {
  await Promise.all(
    consumers.map(async (consumer) => {
      const passed = recorded.first(
        "batch:committed",
        (batch) => batch.consumer === consumer && batch.position >= position,
      );
      const [checkpoint] = await store.readCheckpoints([consumer]);
      if (!checkpoint || checkpoint.position < position) await passed;
    }),
  );
}
