import type { DeadLetterSelection } from "@pup/core";
import type { SqlValue } from "../execute.ts";

/** Condition under which a letter is selected: `$1` to `$4` are {@link selectionValues}. */
export const IS_SELECTED = `letter.consumer_name = $1::text
  AND ($2::text IS NULL OR letter.global_position IN (SELECT jsonb_array_elements_text($2::text::jsonb)::bigint))
  AND ($3::text IS NULL OR (letter.aggregate_type = $3::text AND letter.aggregate_id = $4::text))`;

export function selectionValues({ consumer, positions, aggregate }: DeadLetterSelection): SqlValue[] {
  return [
    consumer,
    positions === undefined ? null : JSON.stringify(positions.map(String)),
    aggregate?.aggregateType ?? null,
    aggregate?.aggregateId ?? null,
  ];
}
