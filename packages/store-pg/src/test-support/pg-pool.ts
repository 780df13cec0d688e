import pg from "pg";

/**
 * A pool of another driver. Its `end` does not wait until the server has let go: when the database is dropped right afterwards,
 * a connection may still hear of it, with nobody listening.
 */
export function createPgPool(url: string, max = 10): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}
