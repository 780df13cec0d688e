// One consumer replays a log; prints the most memory that its process has held, as JSON. `node replay.process.ts <pup|raw> <url>`
import { randomUUID } from "node:crypto";
import { catchUpWithPup } from "../../systems/pup/catch-up.ts";
import { catchUpByHand } from "../../systems/raw/catch-up.ts";
import { connect } from "../../workload/connect.ts";
import { nothing } from "../catch-up/handling.ts";
import type { ReplayReport } from "./memory.ts";

const [system, url = ""] = process.argv.slice(2);
const signal = new AbortController().signal;
const name = `memory-${randomUUID()}`;
/** Kilobytes on every system. */
const megabytes = () => process.resourceUsage().maxRSS / 1_024;
const megabytesBefore = megabytes();
let handled = 0;
if (system === "pup") {
  const consumer = nothing.consumer(name, (events) => {
    handled += events;
  });
  await catchUpWithPup({ url, consumers: [consumer], signal });
} else {
  const sql = connect(url, 2);
  handled = await catchUpByHand(sql, { consumer: name, batchSize: 1_000, handle: nothing.batch, signal });
  await sql.end();
}
const report: ReplayReport = { handled, megabytesBefore, mostMegabytes: megabytes() };
console.log(JSON.stringify(report));
