// Many events in one statement: for read models that have to keep up, or to catch up on a long log.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgTransaction } from "@pup/store-pg";

const connection = process.env.DATABASE_URL ?? "postgres://localhost/postgres";
await migrate({ connection });
const store = createPgStore({ connection });
await store.transaction(
  ({ sql }) => sql`create table if not exists page_views (page text primary key, views integer not null)`,
);

const pageViews = defineConsumer<PgTransaction>({
  name: "page-views.v1",
  aggregateTypes: ["Page"],
  batchSize: 1_000,

  async handleBatch(events, { tx }) {
    const views = new Map<string, number>();
    for (const { aggregateId: page } of events) views.set(page, (views.get(page) ?? 0) + 1);
    const rows = [...views].map(([page, views]) => ({ page, views }));
    await tx.sql`
      insert into page_views ${tx.sql(rows)}
      on conflict (page) do update set views = page_views.views + excluded.views`;
    console.log(`${events.length} views of ${rows.length} pages`);
  },
});

const pages = ["home", "shop", "blog"].map((aggregateId) => ({ aggregateType: "Page", aggregateId }));
for (const page of pages) {
  await store.append(Array.from({ length: 400 }, () => ({ ...page, type: "PageViewed", payload: {} })));
}

await createWorker({ store, dispatcher: createPollDispatcher(), consumers: [pageViews] }).runOnce();
await store.close();
