import { createDatabase, type TestDatabase } from "./create-database.ts";

/** What {@link prepareStores} is given. It knows no store: the caller makes tables and opens stores. */
export interface PrepareStoresOptions<Store extends { close(): Promise<unknown> }> {
  /** Connection string of any database of the server, for a user that may create databases. */
  readonly serverUrl: string;
  /** Makes tables, pup's and those of the read models, in an empty database. Called once, and leaves no connection open. */
  readonly prepare: (url: string) => Promise<unknown>;
  /** Opens a store on a copy of that database. */
  readonly openStore: (url: string) => Store;
}

/** Stores for tests, each in a database of its own. */
export interface PreparedStores<Store> {
  /** Copies the prepared database, and opens a store on the copy. Closing it drops the copy. */
  open(): Promise<{ readonly store: Store; readonly url: string; close(): Promise<void> }>;
  /** Drops the prepared database. Twice is fine. */
  close(): Promise<void>;
}

/**
 * Prepares a database once, and opens a store on a copy of it for every test: no test sees what another one has written, and none
 * pays for migrations. Nothing is done before the first store is asked for.
 *
 * @example
 * ```ts
 * const stores = prepareStores({
 *   serverUrl: server.url,
 *   prepare: (url) => migrate({ connection: url }),
 *   openStore: (url) => createPgStore({ connection: url }),
 * });
 * afterAll(() => stores.close());
 *
 * const given = createGiven({ createWorker, open: stores.open });
 * ```
 */
export function prepareStores<Store extends { close(): Promise<unknown> }>(
  options: PrepareStoresOptions<Store>,
): PreparedStores<Store> {
  const { serverUrl, openStore } = options;
  let prepared: Promise<TestDatabase> | undefined;

  async function prepare(): Promise<TestDatabase> {
    const database = await createDatabase(serverUrl);
    try {
      await options.prepare(database.url);
      return database;
    } catch (error) {
      await database.drop();
      throw error;
    }
  }

  return {
    async open() {
      prepared ??= prepare();
      const copy = await createDatabase(serverUrl, { template: (await prepared).name });
      const store = openStore(copy.url);
      return {
        store,
        url: copy.url,
        async close() {
          await store.close();
          await copy.drop();
        },
      };
    },
    async close() {
      // Who asked for a store has been told when it could not be prepared.
      const database = await prepared?.catch(() => undefined);
      await database?.drop();
    },
  };
}
