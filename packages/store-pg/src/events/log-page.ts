import { setImmediate as nextTurn } from "node:timers/promises";
import type { GlobalPosition, LogPage, RecordedEvent } from "@pup/core";
import { type EventRow, toRecordedEvent } from "./recorded-event.ts";

/** A row of a page. */
export interface PageRow extends EventRow {
  /** Stored bytes of payload and metadata. */
  readonly size: number;
}

/**
 * What is parsed in one go, in characters of payloads and metadata: about half a millisecond's work. Then others get their turn, for
 * whom every answer of the server waits for its own: a consumer at the head of the log waits four times until it has an event.
 */
const TURN_CHARACTERS = 64 * 1024;
/** What making an event costs beside its payload, in characters parsed. */
const EVENT_CHARACTERS = 200;

/** What a row takes in memory beside payload and metadata, in bytes, roughly. */
const ROW_BYTES = 1_000;

/**
 * Makes a page of rows. They stay as they came until their events are asked for, so that nothing is parsed that nobody wants, and
 * every reader gets objects of its own.
 *
 * @param through - how far the page reaches when it is not cut; its last event's position when left out
 */
export function toLogPage(rows: readonly PageRow[], through?: GlobalPosition): LogPage {
  const positions = rows.map(({ position }) => BigInt(position));
  return {
    positions,
    sizes: rows.map(({ size }) => Number(size)),
    memoryBytes: rows.reduce((bytes, row) => bytes + ROW_BYTES + charactersOf(row), 0),
    through: through ?? (positions.at(-1) as GlobalPosition),
    async events(from = 0, to = rows.length) {
      const events: RecordedEvent[] = [];
      let parsed = 0;
      for (let index = from; index < to; index++) {
        if (parsed > TURN_CHARACTERS) {
          await nextTurn();
          parsed = 0;
        }
        const row = rows[index] as PageRow;
        parsed += EVENT_CHARACTERS + charactersOf(row);
        events.push(toRecordedEvent(row, positions[index]));
      }
      return events;
    },
  };
}

function charactersOf({ payload, metadata }: EventRow): number {
  return payload.length + (metadata?.length ?? 0);
}
