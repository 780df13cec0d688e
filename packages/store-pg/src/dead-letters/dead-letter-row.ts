import type { DeadLetter } from "@pup/core";
import { toDate } from "../events/recorded-event.ts";

/** A letter as {@link letterColumns} selects it. */
export interface LetterRow {
  readonly consumer: string;
  readonly position: string;
  readonly eventid: string;
  readonly eventtype: string;
  readonly aggregatetype: string;
  readonly aggregateid: string;
  readonly parked: boolean;
  readonly attempts: number;
  readonly message: string | null;
  readonly stack: string | null;
  readonly firstfailed: number | null;
  readonly lastfailed: number | null;
  readonly due: boolean;
}

const columns: Readonly<Record<keyof LetterRow, string>> = {
  consumer: "letter.consumer_name",
  position: "letter.global_position::text",
  eventid: "letter.event_id::text",
  eventtype: "letter.event_type",
  aggregatetype: "letter.aggregate_type",
  aggregateid: "letter.aggregate_id",
  parked: "letter.parked",
  attempts: "letter.attempts",
  message: "letter.error_message",
  stack: "letter.error_stack",
  firstfailed: "date_part('epoch', letter.first_failed_at)",
  lastfailed: "date_part('epoch', letter.last_failed_at)",
  due: "letter.due_since IS NOT NULL",
};

/** What SELECT takes of `letter`. */
export const letterColumns = Object.entries(columns)
  .map(([name, column]) => `${column} AS ${name}`)
  .join(", ");

export function toDeadLetter(row: LetterRow): DeadLetter {
  return {
    consumer: row.consumer,
    position: BigInt(row.position),
    eventId: row.eventid,
    eventType: row.eventtype,
    aggregateType: row.aggregatetype,
    aggregateId: row.aggregateid,
    parked: row.parked,
    attempts: Number(row.attempts),
    failure: row.message === null ? null : { message: row.message, stack: row.stack },
    firstFailedAt: row.firstfailed === null ? null : toDate(row.firstfailed),
    lastFailedAt: row.lastfailed === null ? null : toDate(row.lastfailed),
    due: row.due,
  };
}
