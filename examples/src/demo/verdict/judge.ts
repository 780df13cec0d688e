import type { ISql } from "postgres";
import { type Account, type AccountFindings, compareAccount } from "./compare-account.ts";
import { compareReadModels, type WrongTable } from "./compare-read-models.ts";
import { compareTrails, type Scoped, type TrailFindings } from "./compare-trails.ts";

/** Everything that was compared, and what came of it. */
export interface Judgement {
  /** Events in the log. */
  readonly events: number;
  /** Events handled, summed over all consumers. */
  readonly deliveries: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Rows of read models that are not what the log says. */
  readonly wrongRows: number;
  /** Appends whose outcome is not what the producer was told. */
  readonly wrongAppends: number;
  /** One sentence for each thing that is wrong; empty when all is well. */
  readonly faults: readonly string[];
}

/** Holds trails, read models and the producer's account against the log. */
export async function judge(sql: ISql, consumers: readonly Scoped[], account: Account): Promise<Judgement> {
  const log = await sql<{ event_id: string }[]>`select event_id from events`;
  const logIds = new Set(log.map(({ event_id }) => event_id));
  const appends = compareAccount(account, logIds);
  const trails = await compareTrails(sql, consumers);
  const tables = await compareReadModels(sql);
  const nothingHappened = logIds.size === 0 ? ["There is no event in the log: nothing was shown."] : [];
  return {
    events: logIds.size,
    deliveries: sum(trails, ({ deliveries }) => deliveries),
    lost: sum(trails, ({ lost }) => lost),
    duplicates: sum(trails, ({ duplicates }) => duplicates),
    outOfOrder: sum(trails, ({ outOfOrder }) => outOfOrder),
    wrongRows: sum(tables, ({ rows }) => rows),
    wrongAppends: appends.missing + appends.undead + appends.unaccounted,
    faults: [
      ...nothingHappened,
      ...trails.flatMap(trailFaults),
      ...tables.flatMap(tableFaults),
      ...accountFaults(appends),
    ],
  };
}

function trailFaults({ consumer, lost, duplicates, outOfOrder, strays }: TrailFindings): string[] {
  return [
    ...fault(lost, `Events that never reached ${consumer}`),
    ...fault(duplicates, `Events that reached ${consumer} once too often`),
    ...fault(outOfOrder, `Events that reached ${consumer} after a later one`),
    ...fault(strays, `Events that reached ${consumer} and should not have`),
  ];
}

function tableFaults({ table, rows }: WrongTable): string[] {
  return fault(rows, `Rows of ${table} that are not what the log says`);
}

function accountFaults({ missing, undead, unaccounted }: AccountFindings): string[] {
  return [
    ...fault(missing, "Events that were acknowledged and are not in the log"),
    ...fault(undead, "Events that were rolled back and are in the log"),
    ...fault(unaccounted, "Events in the log that nobody appended"),
  ];
}

function fault(count: number, what: string): string[] {
  return count === 0 ? [] : [`${what}: ${count}.`];
}

function sum<Item>(items: readonly Item[], count: (item: Item) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}
