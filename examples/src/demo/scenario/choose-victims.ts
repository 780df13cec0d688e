import type { Observation } from "../fleet/observe.ts";

type Ownership = Pick<Observation, "leaderId" | "consumers">;

/**
 * Whom to stop in good order: a worker with consumers, if possible one that does not lead, so that the leader is left for worse.
 * Null when nobody has consumers.
 */
export function chooseWorkerToStop(observation: Ownership): string | null {
  const owners = byLoad(observation);
  return owners.find((workerId) => workerId !== observation.leaderId) ?? owners[0] ?? null;
}

/** Whom to kill: the leader if it has consumers, so that both have to pass on; else who has most. Null when nobody has any. */
export function chooseWorkerToKill(observation: Ownership): string | null {
  const owners = byLoad(observation);
  return owners.find((workerId) => workerId === observation.leaderId) ?? owners[0] ?? null;
}

/** Workers that run consumers, those with most first. */
function byLoad({ consumers }: Ownership): string[] {
  const load = new Map<string, number>();
  for (const { workerId } of consumers) if (workerId !== null) load.set(workerId, (load.get(workerId) ?? 0) + 1);
  return [...load].sort(([, one], [, other]) => other - one).map(([workerId]) => workerId);
}
