import type { AppendOptions, NewEvent } from "@pup/core";
import type { PgStore } from "@pup/store-pg";
import type { Sql } from "postgres";

/** How {@link runWriters} writes. */
export interface WritersOptions {
  readonly store: Pick<PgStore, "append">;
  /** Client of the application, in whose transactions the events are appended; at least one connection a writer. */
  readonly sql: Sql;
  readonly writers: number;
  readonly durationMs: number;
  /** Share of the transactions that are rolled back, from 0 to 1. */
  readonly rollbacks: number;
  /** Share of the transactions that stay open for a while after the append. */
  readonly slow: number;
  /** How long those stay open, in milliseconds. */
  readonly slowMs: number;
}

/** What the writers know themselves. */
export interface WritersReport {
  /** Ids of the events whose transactions were acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Ids of the events whose transactions were rolled back. */
  readonly rolledBack: ReadonlySet<string>;
}

class RollBack extends Error {}

/** Appends from many connections at once: commits, rollbacks and slow transactions among each other. */
export async function runWriters(options: WritersOptions): Promise<WritersReport> {
  const { store, sql, writers, durationMs, rollbacks, slow, slowMs } = options;
  const acknowledged = new Set<string>();
  const rolledBack = new Set<string>();
  const deadline = performance.now() + durationMs;
  let count = 0;

  async function write(writer: number): Promise<void> {
    while (performance.now() < deadline) {
      const number = ++count;
      const ids = Array.from({ length: 1 + (number % 3) }, () => crypto.randomUUID());
      const events = ids.map(
        (id): NewEvent => ({
          aggregateType: number % 4 === 0 ? "Invoice" : "Order",
          aggregateId: `${writer}-${number % 50}`,
          type: number % 5 === 0 ? "Paid" : "Changed",
          payload: { number, text: "x".repeat(100) },
          id,
        }),
      );
      const append = (options?: AppendOptions<never>) => store.append(events, options as AppendOptions<never>);
      try {
        if (number % 4 === 0) await append();
        else {
          await sql.begin(async (tx) => {
            await append({ tx: tx as never });
            if (Math.random() < slow) await new Promise((resolve) => setTimeout(resolve, slowMs));
            if (Math.random() < rollbacks) throw new RollBack();
          });
        }
        for (const id of ids) acknowledged.add(id);
      } catch (error) {
        if (!(error instanceof RollBack)) throw error;
        for (const id of ids) rolledBack.add(id);
      }
    }
  }

  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return { acknowledged, rolledBack };
}

/** Compares the writers' own account with the log: what was acknowledged is there, what was rolled back is not. */
export async function compareAccount(sql: Sql, { acknowledged, rolledBack }: WritersReport) {
  const ids = new Set((await sql<{ id: string }[]>`select event_id::text as id from events`).map(({ id }) => id));
  return {
    acknowledgedButMissing: [...acknowledged].filter((id) => !ids.has(id)).length,
    rolledBackButThere: [...rolledBack].filter((id) => ids.has(id)).length,
  };
}
