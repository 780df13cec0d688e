import { migrate } from "@pup/store-pg";
import { createDatabase, type PostgresServer, startPostgres, type TestDatabase } from "@pup/testing/postgres";
import { connect } from "./workload/connect.ts";
import { fillLog } from "./workload/fill-log.ts";

/** What differs from a server as it is installed. Nothing that a commit is worth less by. */
const serverSettings = {
  fsync: "on",
  synchronous_commit: "on",
  max_connections: 300,
  shared_buffers: "1GB",
  // A checkpoint that the log's size asks for would hit whoever has its turn just then.
  max_wal_size: "16GB",
} as const;

/** A server, and the databases that a case has asked for. */
export interface BenchServer extends AsyncDisposable {
  /** As it calls itself: `"18.4"`. */
  readonly version: string;
  /** Makes an empty database. @returns its connection string */
  database(): Promise<string>;
  /** Makes a database with pup's tables. @returns its connection string */
  log(): Promise<string>;
  /** Makes a log with so many events, or gives the one that was made before. @returns its connection string */
  filledLog(events: number): Promise<string>;
  /** Drops all databases made so far, except for filled logs. */
  dropDatabases(): Promise<void>;
}

/**
 * Starts the server.
 *
 * @param durable - whether it has to put commits on disk; a server that was named by the environment may not
 * @throws Error when it does not, and should
 */
export async function openServer({ durable }: { durable: boolean }): Promise<BenchServer> {
  const server = await startPostgres({ settings: serverSettings });
  const databases: TestDatabase[] = [];
  const kept: TestDatabase[] = [];
  const filled = new Map<number, Promise<string>>();

  const make = async (among: TestDatabase[]) => {
    const made = await createDatabase(server.url);
    among.push(made);
    return made.url;
  };
  const makeLog = async (among: TestDatabase[]) => {
    const url = await make(among);
    await migrate({ connection: url });
    return url;
  };
  const fill = async (events: number) => {
    const url = await makeLog(kept);
    await fillLog(url, events);
    return url;
  };
  const drop = async (among: TestDatabase[]) => {
    await Promise.all(among.splice(0).map((database) => database.drop()));
  };
  try {
    const { version, fsync, commit } = await look(server);
    if (durable && (fsync !== "on" || commit !== "on")) {
      throw new Error(`Expected fsync and synchronous_commit to be on, got ${fsync} and ${commit}.`);
    }
    return {
      version,
      database: () => make(databases),
      log: () => makeLog(databases),
      filledLog(events) {
        const made = filled.get(events) ?? fill(events);
        filled.set(events, made);
        return made;
      },
      dropDatabases: () => drop(databases),
      async [Symbol.asyncDispose]() {
        // A server of our own takes its databases with it, and whatever still hangs on a connection.
        if (!server.restartable) await drop([...databases.splice(0), ...kept.splice(0)]);
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function look({ url }: PostgresServer) {
  const sql = connect(url, 1);
  try {
    const [row] = await sql<{ version: string; fsync: string; commit: string }[]>`
      SELECT
        split_part(current_setting('server_version'), ' ', 1) AS version, current_setting('fsync') AS fsync,
        current_setting('synchronous_commit') AS commit`;
    if (!row) throw new Error("Expected the server to tell its settings.");
    return row;
  } finally {
    await sql.end();
  }
}
