import type { ISql, Sql } from "postgres";
import { compareTrail, type TrailReport } from "../../support/trail.ts";
import { outside, scopes, transactional } from "../consumers.ts";
import type { Account } from "../load/account.ts";

/** Where the log, the effects and the writers' account differ. */
export interface Comparison {
  /** Events in the log. */
  readonly committed: number;
  /** Effects through the transaction, of all consumers together. */
  readonly delivered: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Effects of events that are not in the log, or not in scope. */
  readonly strays: number;
  /** Consumers that differ, and how. */
  readonly differing: readonly (TrailReport & { readonly consumer: string })[];
  /** The consumer without a transaction: at least once. */
  readonly atLeastOnce: { readonly delivered: number; readonly repeated: number; readonly lost: number };
  /** Acknowledged, and not in the log at the place that was told. */
  readonly acknowledgedButMissing: number;
  /** Rolled back, and in the log. */
  readonly rolledBackButThere: number;
  /** In the log, and nobody has appended it. */
  readonly unaccounted: number;
  /** Events whose version is not the one after that of the event before it in their aggregate. */
  readonly versionsOutOfOrder: number;
  /** Moves of checkpoints that must not be, by what is wrong. */
  readonly wrongMoves: Readonly<Record<string, number>>;
}

/** Holds everything against the log. */
export async function compareLog(sql: Sql, account: Account): Promise<Comparison> {
  const trails = [];
  for (const consumer of transactional) {
    trails.push({ consumer, ...(await compareTrail(sql, consumer, scopes[consumer])) });
  }
  const straysOf = ({ committed, delivered, lost, duplicates }: TrailReport) =>
    delivered - duplicates - (committed - lost);
  const differs = (trail: TrailReport) => trail.lost + trail.duplicates + trail.outOfOrder > 0 || straysOf(trail) !== 0;
  const atLeastOnce = await compareTrail(sql, outside);
  return {
    committed: atLeastOnce.committed,
    delivered: sum(trails, ({ delivered }) => delivered),
    lost: sum(trails, ({ lost }) => lost),
    duplicates: sum(trails, ({ duplicates }) => duplicates),
    outOfOrder: sum(trails, ({ outOfOrder }) => outOfOrder),
    strays: sum(trails, straysOf),
    differing: trails.filter(differs),
    atLeastOnce: {
      delivered: atLeastOnce.delivered - atLeastOnce.duplicates,
      repeated: atLeastOnce.duplicates,
      lost: atLeastOnce.lost,
    },
    ...(await compareAccount(sql, account)),
    versionsOutOfOrder: await countVersionsOutOfOrder(sql),
    wrongMoves: await readWrongMoves(sql),
  };
}

async function compareAccount(sql: ISql, { acknowledged, rolledBack, unknown }: Account) {
  const rows = await sql<{ id: string; place: string }[]>`
    select event_id::text as id, global_position || '/' || aggregate_version as place from events`;
  const log = new Map(rows.map(({ id, place }) => [id, place]));
  const count = (ids: Iterable<string>, isWrong: (id: string) => boolean) => [...ids].filter(isWrong).length;
  return {
    acknowledgedButMissing: count(acknowledged.keys(), (id) => log.get(id) !== acknowledged.get(id)),
    rolledBackButThere: count(rolledBack, (id) => log.has(id)),
    unaccounted: count(log.keys(), (id) => !acknowledged.has(id) && !rolledBack.has(id) && !unknown.has(id)),
  };
}

async function countVersionsOutOfOrder(sql: ISql): Promise<number> {
  const [{ count }] = await sql<[{ count: number }]>`
    select count(*)::integer as count from (
      select aggregate_version, row_number() over (
        partition by aggregate_type, aggregate_id order by global_position
      ) as expected from events
    ) as numbered where aggregate_version <> expected`;
  return count;
}

async function readWrongMoves(sql: ISql): Promise<Record<string, number>> {
  const rows = await sql<{ what: string; count: number }[]>`
    select what, count(*)::integer as count from wrong_moves group by what order by what`;
  return Object.fromEntries(rows.map(({ what, count }) => [what, count]));
}

function sum<Item>(items: readonly Item[], count: (item: Item) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}
