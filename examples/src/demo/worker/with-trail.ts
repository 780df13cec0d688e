import type { Consumer, RecordedEvent, TransactionalContext } from "@pup/core";
import type { ShopTransaction } from "../shop/tables.ts";

/** The same consumer, which also notes what it was given, in the transaction of its effects. */
export function withTrail(consumer: Consumer<ShopTransaction>): Consumer<ShopTransaction> {
  if (consumer.transaction === "none") throw new Error(`Expected consumer ${consumer.name} to have a transaction.`);
  if (consumer.handleBatch) {
    return {
      ...consumer,
      async handleBatch(events, context) {
        await consumer.handleBatch(events, context);
        await leaveTrail(events, context);
      },
    };
  }
  return {
    ...consumer,
    async handle(event, context) {
      await consumer.handle(event, context);
      await leaveTrail([event], context);
    },
  };
}

async function leaveTrail(
  events: readonly RecordedEvent[],
  { tx, consumer, epoch }: TransactionalContext<ShopTransaction>,
): Promise<void> {
  const positions = JSON.stringify(events.map(({ globalPosition }) => String(globalPosition)));
  await tx.sql`
    insert into trail (consumer, epoch, position)
    select ${consumer}, ${epoch}, position::bigint
    from jsonb_array_elements_text(${positions}::text::jsonb) with ordinality as given (position, place)
    order by place`;
}
