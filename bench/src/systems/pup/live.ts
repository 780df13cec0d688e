import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgTransaction } from "@pup/store-pg";
import { connect } from "../../workload/connect.ts";
import type { OrderPayload } from "../../workload/orders.ts";
import type { OpenLive } from "../live-system.ts";
import { openStore, toNewEvents } from "./append.ts";

export interface PupLiveOptions {
  readonly dispatcher: "notify" | "poll";
  /** Whether events are appended in transactions of the application, which then carry the notification. @defaultValue `false` */
  readonly inCallersTransaction?: boolean;
}

/** A worker with one consumer, and a store beside it that appends as another process would. Default options. */
export function pupLive({ dispatcher, inCallersTransaction = false }: PupLiveOptions): OpenLive {
  return async ({ url, connections, onHandled }) => {
    await migrate({ connection: url });
    const notify = dispatcher === "notify" ? {} : undefined;
    const writing = openStore(url, connections, { notify });
    const sql = connect(url, connections);
    const reading = createPgStore({ connection: url, notify });
    const worker = createWorker({
      store: reading,
      dispatcher: notify ? createNotifyDispatcher({ connection: url }) : createPollDispatcher(),
      consumers: [
        defineConsumer<PgTransaction>({
          name: "live",
          handle: ({ payload }) => onHandled((payload as OrderPayload).number),
        }),
      ],
    });
    const running = worker.start();
    running.catch(() => undefined); // Whoever waits for the events finds that they do not come.

    return {
      append(payload) {
        const events = toNewEvents({ orderId: `order-${payload.number}`, payloads: [payload] });
        return inCallersTransaction ? sql.begin((tx) => writing.append(events, { tx })) : writing.append(events);
      },
      async close() {
        await worker.stop();
        await Promise.all([reading.close(), writing.close(), sql.end()]);
      },
    };
  };
}
