import { formatCount } from "./display/format.ts";
import type { DemoOutcome } from "./run-demo.ts";

/** Whether everything that was compared is as it should be. */
export function isAsPromised({ faults }: DemoOutcome): boolean {
  return faults.length === 0;
}

/** The outcome for people, a few lines. */
export function describeOutcome(outcome: DemoOutcome): readonly string[] {
  const { events, rolledBack, conflicts, deliveries, lost, duplicates, outOfOrder, wrongRows, workers, failoverMs } =
    outcome;
  const n = formatCount;
  return [
    `${n(events)} events in the log; ${n(rolledBack)} rolled back, ${n(conflicts)} refused (version conflict)`,
    `${n(deliveries)} deliveries by ${workers} workers: ${n(lost)} lost, ${n(duplicates)} doubled, ${n(outOfOrder)} out of order`,
    `${n(wrongRows)} rows of the read models differ from the log`,
    `${n(failoverMs)} ms after a worker was killed, others had gone on with all that it ran`,
    ...outcome.faults.map((fault) => `WRONG: ${fault}`),
  ];
}

/** The outcome for programs: one line of JSON. */
export function outcomeAsJson(outcome: DemoOutcome): string {
  const { events, deliveries, lost, duplicates, outOfOrder, wrongRows, wrongAppends, workers, failoverMs } = outcome;
  const verdict = isAsPromised(outcome) ? "ok" : "failed";
  return JSON.stringify({
    events,
    deliveries,
    lost,
    duplicates,
    outOfOrder,
    wrongRows,
    wrongAppends,
    workers,
    failoverMs,
    verdict,
  });
}
