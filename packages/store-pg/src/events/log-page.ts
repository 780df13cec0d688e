import { setImmediate as nextTurn } from "node:timers/promises";
import type { GlobalPosition, LogPage, RecordedEvent } from "@pup/core";
import { type EventRow, toRecordedEvent } from "./recorded-event.ts";

/** A row of a page. */
export interface PageRow extends EventRow {
  /** Stored bytes of payload and metadata. */
  readonly size: number;
}

/** Characters of payloads that are parsed in one go, which takes some five milliseconds; then others get their turn. */
const TURN_CHARACTERS = 512 * 1024;

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
        parsed += charactersOf(row);
        events.push(toRecordedEvent(row, positions[index]));
      }
      return events;
    },
  };
}

function charactersOf({ payload, metadata }: EventRow): number {
  return payload.length + (metadata?.length ?? 0);
}
