import type { DeadLetter } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { type LetterRow, letterColumns, toDeadLetter } from "./dead-letter-row.ts";

/** What a consumer's worker has to know of its letters. */
export interface DueDeadLetters {
  look(execute: Execute, consumer: string): Promise<{ readonly parked: boolean; readonly due: boolean }>;
  /** The due letter with the lowest position. */
  next(execute: Execute, consumer: string): Promise<DeadLetter | null>;
}

export function createDueDeadLetters({ consumerDeadLetters }: Tables): DueDeadLetters {
  const ofConsumer = `FROM ${consumerDeadLetters} AS letter WHERE letter.consumer_name = $1::text`;
  const isDue = "letter.due_since IS NOT NULL";
  const look = `
SELECT EXISTS (SELECT ${ofConsumer} AND letter.parked) AS parked, EXISTS (SELECT ${ofConsumer} AND ${isDue}) AS due`;
  const next = `
SELECT ${letterColumns} ${ofConsumer} AND ${isDue} ORDER BY letter.global_position LIMIT 1`;

  return {
    async look(execute, consumer) {
      const [row] = await execute<{ parked: boolean; due: boolean }>(look, [consumer]);
      return { parked: row?.parked ?? false, due: row?.due ?? false };
    },
    async next(execute, consumer) {
      const [row] = await execute<LetterRow>(next, [consumer]);
      return row ? toDeadLetter(row) : null;
    },
  };
}
