import type { Sql } from "postgres";

/**
 * Everything about a schema that matters, as text: columns, constraints, indexes, table settings. Names that PostgreSQL made
 * up itself are left out, and so is the schema's own.
 */
export async function describeSchema(sql: Sql, schema: string): Promise<string> {
  const tables = await sql<{ oid: string; name: string; options: string | null }[]>`
    SELECT oid::text, relname AS name, reloptions::text AS options FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${schema}) AND relkind = 'r'
    ORDER BY relname`;
  const described = await Promise.all(tables.map((table) => describeTable(sql, schema, table)));
  return `${described.join("\n\n")}\n`;
}

async function describeTable(
  sql: Sql,
  schema: string,
  { oid, name, options }: { readonly oid: string; readonly name: string; readonly options: string | null },
): Promise<string> {
  const columns = await sql<{ line: string }[]>`
    SELECT concat_ws(' ',
      quote_ident(attname), format_type(atttypid, atttypmod),
      CASE WHEN attnotnull THEN 'NOT NULL' END,
      CASE WHEN attidentity = 'a' THEN 'GENERATED ALWAYS AS IDENTITY' END,
      'DEFAULT ' || pg_get_expr(adbin, adrelid),
      (
        SELECT 'cache ' || seqcache || CASE WHEN seqcycle THEN ' cycle' ELSE '' END FROM pg_sequence
        WHERE seqrelid = pg_get_serial_sequence(attrelid::regclass::text, attname)::regclass
      )
    ) AS line
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = ${oid}::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;
  const constraints = await sql<{ line: string }[]>`
    SELECT pg_get_constraintdef(oid) AS line FROM pg_constraint
    WHERE conrelid = ${oid}::oid AND contype <> 'n' ORDER BY 1`;
  const indexes = await sql<{ line: string }[]>`
    SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .* ON .* USING', 'INDEX USING') AS line FROM pg_index
    WHERE indrelid = ${oid}::oid ORDER BY 1`;
  const lines = [...columns, ...constraints, ...indexes].map(({ line }) => `  ${line.replaceAll(`${schema}.`, "")}`);
  return [`${name}${options === null ? "" : ` ${options}`}`, ...lines].join("\n");
}
