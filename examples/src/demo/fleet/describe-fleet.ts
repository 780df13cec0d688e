import type { ConsumerStatus, Status } from "../display/status.ts";
import type { Fleet } from "./fleet.ts";
import type { Observation } from "./observe.ts";
import type { Producer } from "./producer.ts";

/** Puts together what is shown: what the database knows, and what the processes have counted. */
export function describeFleet(
  fleet: Fleet,
  producer: Producer,
  { leaderId, consumers, openAppendMs }: Observation,
  doing: string,
): Status {
  const isLive = (workerId: string | null) =>
    fleet.workers.some(({ workerId: id, child }) => id === workerId && child.state !== "killed");
  const statusOf = (owns: (workerId: string | null) => boolean): ConsumerStatus[] =>
    consumers
      .filter(({ workerId }) => owns(workerId))
      .map(({ consumer, lag }) => ({ name: consumer, lag, perSecond: fleet.handledBy(consumer).perSecond() }));

  return {
    doing,
    workers: fleet.workers.map(({ workerId, child: { name, pid, state } }) => ({
      name,
      pid,
      state: workerId === null && state === "running" ? "starting" : state,
      leads: state === "running" && workerId !== null && workerId === leaderId,
      consumers: state === "killed" || workerId === null ? [] : statusOf((owner) => owner === workerId),
    })),
    unowned: statusOf((owner) => owner === null || !isLive(owner)),
    appended: producer.appended.total,
    appendedPerSecond: producer.appended.perSecond(),
    rolledBack: producer.account.rolledBack.size,
    openAppendMs,
  };
}
