// Appends to a log at a steady rate from a thread of its own, so that how busy the consumers' thread is does not show in what it
// tells: number and moment of each acknowledgement.
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { openStore, toNewEvents } from "../systems/pup/append.ts";
import { orderPayload } from "./orders.ts";
import type { Acknowledged, ProducerSettings } from "./producer.ts";

const { url, perSecond, orderPrefix } = workerData as ProducerSettings;
const store = openStore(url, 2, { notify: {} });
let stopping = false;
parentPort?.once("message", () => {
  stopping = true;
});

for (let number = 1; !stopping; number++) {
  await store.append(toNewEvents({ orderId: `${orderPrefix}-${number}`, payloads: [orderPayload(number)] }));
  parentPort?.postMessage({ number, at: performance.timeOrigin + performance.now() } satisfies Acknowledged);
  await sleep(1_000 / perSecond);
}
await store.close();
parentPort?.close();
