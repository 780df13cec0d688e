import type { Sql } from "postgres";
import { formatArrayLiteral, parseArrayLiteral } from "./array-literal.ts";

/** Object ids of PostgreSQL's own types and of arrays of them. They are the same in every database. */
const ARRAY_OF: ReadonlyMap<number, number> = new Map([
  [16, 1000], // bool
  [17, 1001], // bytea
  [18, 1002], // "char"
  [19, 1003], // name
  [20, 1016], // int8
  [21, 1005], // int2
  [23, 1007], // int4
  [25, 1009], // text
  [26, 1028], // oid
  [114, 199], // json
  [700, 1021], // float4
  [701, 1022], // float8
  [1042, 1014], // bpchar
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1083, 1183], // time
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1186, 1187], // interval
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
]);

interface TypeTables {
  readonly parsers: Record<number, ((text: string) => unknown) | undefined>;
  readonly serializers: Record<number, ((value: never) => unknown) | undefined>;
  /** What `sql.array` looks types up in. */
  readonly shared: { readonly typeArrayMap: Record<number, number> };
}

/**
 * Teaches a client arrays of PostgreSQL's own types. postgres.js asks each new session for all types instead, which costs a
 * round trip and cannot be had: a kill while it asks is an unhandled rejection. Arrays of types made in the database come as text.
 */
export function teachArrays(client: Sql): void {
  const { parsers, serializers, shared } = client.options as unknown as TypeTables;
  for (const [element, array] of ARRAY_OF) {
    shared.typeArrayMap[element] = array;
    parsers[array] ??= (text) => parseArrayLiteral(text, parsers[element] ?? String);
    serializers[array] ??= (value: unknown) =>
      Array.isArray(value)
        ? formatArrayLiteral(value, (item) => String((serializers[element] ?? String)(item as never)))
        : String(value);
  }
}
