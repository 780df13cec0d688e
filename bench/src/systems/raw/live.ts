import { migrate } from "@pup/store-pg";
import { connect } from "../../workload/connect.ts";
import type { OrderPayload } from "../../workload/orders.ts";
import type { OpenLive } from "../live-system.ts";
import { appendWithHead } from "./append.ts";

const CHANNEL = "events";

/** Reads what is new in one page; more than anybody appends between two looks. */
const PAGE = 10_000;

/**
 * A loop that listens: a notification, a transaction that reads what is new, handles it and moves the checkpoint. It believes that
 * whatever has a lower position is there already, as is only true of one writer; and it has no answer to a lost notification.
 */
export const rawLive: OpenLive = async ({ url, connections, onHandled }) => {
  await migrate({ connection: url });
  const writing = connect(url, connections);
  const reading = connect(url, 2);
  await reading`INSERT INTO consumer_checkpoints (consumer_name, last_position) VALUES ('live', 0)`;

  async function handleNew(): Promise<void> {
    await reading.begin(async (tx) => {
      const [events, [checkpoint]] = await Promise.all([
        tx<{ position: bigint; payload: OrderPayload }[]>`
          SELECT global_position AS position, aggregate_id, aggregate_version, event_id, event_type, payload, created_at
          FROM events
          WHERE global_position > (SELECT last_position FROM consumer_checkpoints WHERE consumer_name = 'live')
          ORDER BY global_position
          LIMIT ${PAGE}`,
        tx`SELECT 1 FROM consumer_checkpoints WHERE consumer_name = 'live' FOR NO KEY UPDATE`,
      ]);
      const last = events.at(-1);
      if (!checkpoint || !last) return;
      for (const { payload } of events) onHandled(payload.number);
      await tx`UPDATE consumer_checkpoints SET last_position = ${last.position} WHERE consumer_name = 'live'`;
    });
  }

  let isNew = false;
  let looking: Promise<void> | undefined;
  const look = async () => {
    while (isNew) {
      isNew = false;
      await handleNew();
    }
    looking = undefined;
  };
  await reading.listen(CHANNEL, () => {
    isNew = true;
    looking ??= look();
  });

  return {
    append: (payload) =>
      writing.begin((tx) =>
        Promise.all([
          appendWithHead(tx, { orderId: `order-${payload.number}`, payloads: [payload] }),
          tx`SELECT pg_notify(${CHANNEL}, '')`,
        ]),
      ),
    async close() {
      await looking;
      await Promise.all([writing.end(), reading.end()]);
    },
  };
};
