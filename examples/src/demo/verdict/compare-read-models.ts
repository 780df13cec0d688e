import type { ISql } from "postgres";
import { type ExpectedReadModel, expectedReadModels } from "./expected-read-models.ts";

/** A table that is not what the log says. */
export interface WrongTable {
  readonly table: string;
  /** Rows that are missing, too many, or different. */
  readonly rows: number;
}

/** Compares every read model with the log. Answers with the tables that differ. */
export async function compareReadModels(sql: ISql): Promise<readonly WrongTable[]> {
  const compared = await Promise.all(expectedReadModels.map((expected) => compareTable(sql, expected)));
  return compared.filter(({ rows }) => rows > 0);
}

async function compareTable(sql: ISql, { table, columns, query }: ExpectedReadModel): Promise<WrongTable> {
  // A row that differs is missing on the one side and too many on the other: that is one wrong row, not two.
  const [answer] = await sql.unsafe<[{ rows: number }]>(`
    with expected (${columns}) as (${query}), actual as (select ${columns} from ${table})
    select greatest(
      (select count(*) from (table expected except all table actual) missing),
      (select count(*) from (table actual except all table expected) surplus)
    )::integer as rows`);
  return { table, rows: answer.rows };
}
