import { checkInteger, type DeadLetter, type DeadLetterQuery } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type LetterRow, letterColumns, toDeadLetter } from "./dead-letter-row.ts";

/** Lists letters by consumer and position. */
export type ListDeadLetters = (execute: Execute, query: DeadLetterQuery) => Promise<readonly DeadLetter[]>;

const DEFAULT_LIMIT = 100;

export function createListDeadLetters({ consumerDeadLetters }: Tables): ListDeadLetters {
  const text = `
SELECT ${letterColumns}
FROM ${consumerDeadLetters} AS letter
WHERE ($1::text IS NULL OR consumer_name = $1::text)
  AND ($2::text IS NULL OR (aggregate_type = $2::text AND aggregate_id = $3::text))
  AND ($4::text IS NULL OR (consumer_name, global_position) > ($4::text, $5::text::bigint))
ORDER BY consumer_name, global_position
LIMIT $6::integer`;

  return async (execute, { consumer = null, aggregate, after, limit = DEFAULT_LIMIT }) => {
    const rows = await execute<LetterRow>(text, [
      consumer,
      aggregate?.aggregateType ?? null,
      aggregate?.aggregateId ?? null,
      after?.consumer ?? null,
      after === undefined ? null : String(after.position),
      checkInteger("limit", limit, { max: 10_000 }),
    ]);
    return rows.map(toDeadLetter);
  };
}
