/** When what happens, in milliseconds from the moment in which the first workers and the producer run. */
export interface Timeline {
  readonly addWorkerMs: number;
  readonly stopWorkerMs: number;
  readonly killWorkerMs: number;
  readonly stopProducerMs: number;
}

/** Spreads what happens over the length of the demo. */
export function planTimeline(seconds: number): Timeline {
  const at = (share: number) => Math.round(seconds * 1_000 * share);
  return { addWorkerMs: at(0.2), stopWorkerMs: at(0.4), killWorkerMs: at(0.65), stopProducerMs: at(1) };
}
