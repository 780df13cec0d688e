import Table from "cli-table3";
import pc from "picocolors";
import { formatCount, formatOpenAppend, formatProducer } from "./format.ts";
import type { ConsumerStatus, Status, WorkerStatus } from "./status.ts";

const rightAligned = ["left", "left", "left", "right", "right"] as const;
const quietBorders = { style: { head: [], border: [], compact: true } };

/** Draws how things stand as a table, with the producer above and what is happening below it. */
export function renderTable(status: Status): string {
  const table = new Table({
    head: ["Worker", "State", "Consumers", "Behind", "Events/s"].map((title) => pc.bold(title)),
    colAligns: [...rightAligned],
    ...quietBorders,
  });
  for (const worker of status.workers) table.push(workerRow(worker));
  if (status.unowned.length > 0) table.push(["", pc.yellow("waiting"), ...consumerCells(status.unowned)]);

  const footer = `${pc.yellow("★")} leads   ${pc.bold(status.doing)}${formatOpenAppend(status)}`;
  return [formatProducer(status), table.toString(), footer].join("\n");
}

function workerRow({ name, pid, state, leads, consumers }: WorkerStatus): string[] {
  const title = `${name} ${leads ? pc.yellow("★") : " "}`;
  const colored = {
    starting: pc.cyan,
    running: pc.green,
    stopping: pc.cyan,
    stopped: pc.dim,
    killed: pc.red,
    crashed: pc.red,
  };
  return [title, colored[state](state === "running" ? `pid ${pid}` : state), ...consumerCells(consumers)];
}

function consumerCells(consumers: readonly ConsumerStatus[]): string[] {
  const column = (cell: (consumer: ConsumerStatus) => string) => consumers.map(cell).join("\n");
  return [
    column(({ name }) => name),
    column(({ lag }) => formatCount(lag)),
    column(({ perSecond }) => formatCount(perSecond)),
  ];
}
