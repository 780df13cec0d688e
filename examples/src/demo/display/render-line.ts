import { formatOpenAppend, formatProducer } from "./format.ts";
import type { ConsumerStatus, Status } from "./status.ts";

/** Writes how things stand as one line. */
export function renderLine(status: Status): string {
  const workers = status.workers
    .filter(({ state }) => state === "running" || state === "stopping")
    .map(({ name, leads, consumers }) => `${name}${leads ? "★" : ""}: ${listConsumers(consumers)}`);
  const unowned = status.unowned.length > 0 ? [`waiting: ${listConsumers(status.unowned)}`] : [];
  return [formatProducer(status) + formatOpenAppend(status), ...workers, ...unowned].join(" | ");
}

function listConsumers(consumers: readonly ConsumerStatus[]): string {
  if (consumers.length === 0) return "–";
  return consumers.map(({ name, lag }) => (lag > 0 ? `${name} (${lag} behind)` : name)).join(", ");
}
