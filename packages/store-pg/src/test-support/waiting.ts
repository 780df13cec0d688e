import type { Sql } from "postgres";
import { expect, vi } from "vitest";

/** Waits until so many of pup's statements in the database of `sql` wait for a lock. */
export async function untilWaiting(sql: Sql, count: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const [row] = await sql<{ waiting: number }[]>`
        SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name LIKE 'pup%'`;
      expect(row?.waiting).toBe(count);
    },
    { timeout: 5_000, interval: 20 },
  );
}
