import { defineConsumer } from "@pup/core";
import type { ShopTransaction } from "../tables.ts";

/** Counts everything that happens. Many events become one statement. */
export const analytics = defineConsumer<ShopTransaction>({
  name: "Analytics",

  async handleBatch(events, { tx }) {
    const counts = new Map<string, { event_type: string; events: number; last_position: string }>();
    for (const { type, globalPosition } of events) {
      const before = counts.get(type)?.events ?? 0;
      counts.set(type, { event_type: type, events: before + 1, last_position: String(globalPosition) });
    }

    await tx.sql`
      insert into event_counts as known (event_type, events, last_position)
      select event_type, events, last_position
      from jsonb_to_recordset(${JSON.stringify([...counts.values()])}::text::jsonb)
        as fresh (event_type text, events integer, last_position bigint)
      on conflict (event_type) do update
      set events = known.events + excluded.events, last_position = excluded.last_position`;
  },
});
