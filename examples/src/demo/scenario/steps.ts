import { DemoFailure } from "../demo-failure.ts";
import type { Fleet, FleetWorker } from "../fleet/fleet.ts";
import { measureFailover } from "../fleet/measure-failover.ts";
import { chooseWorkerToKill, chooseWorkerToStop } from "./choose-victims.ts";
import { allRun, lookUntil, type Stage, untilAllRun } from "./stage.ts";

// Without the lock that a process loses when it dies, it is its silence that tells, after 30 s.
const failoverLimitMs = 45_000;

/** Starts the first workers, and waits until they have shared the consumers out. */
export async function startWorkers(stage: Stage, count: number): Promise<void> {
  stage.doing(`${count} workers start and share the consumers out`);
  await Promise.all(Array.from({ length: count }, () => stage.fleet.add()));
  await untilAllRun(stage);
  const pids = stage.fleet.workers.map(({ child }) => child.pid).join(", ");
  stage.tell(`${count} workers (pids ${pids}) run ${stage.consumers.length} consumers`);
}

/** Starts one more worker, and waits until it runs something. */
export async function addWorker(stage: Stage): Promise<void> {
  stage.doing("one more worker joins");
  const { child, workerId } = await stage.fleet.add();
  const { consumers } = await lookUntil(
    stage,
    "the worker that joined to run a consumer",
    (seen) => allRun(stage, seen) && seen.consumers.some((consumer) => consumer.workerId === workerId),
  );
  const names = consumers.filter((consumer) => consumer.workerId === workerId).map(({ consumer }) => consumer);
  stage.tell(`${child.name} joined, and runs ${names.join(", ")}`);
}

/** Stops a worker in good order. */
export async function stopWorker(stage: Stage): Promise<void> {
  const { child } = memberById(stage.fleet, chooseWorkerToStop(await untilAllRun(stage)));
  stage.doing(`${child.name} stops in good order`);
  const startedAt = performance.now();
  await child.stop();
  const tookMs = Math.round(performance.now() - startedAt);
  await untilAllRun(stage);
  stage.tell(`${child.name} stopped in good order (SIGTERM), in ${tookMs} ms`);
}

/**
 * Kills a worker that runs consumers.
 *
 * @returns milliseconds until all of them had committed effects under other workers
 */
export async function killWorker(stage: Stage): Promise<number> {
  const { leaderId, consumers } = await untilAllRun(stage);
  const { child, workerId } = memberById(stage.fleet, chooseWorkerToKill({ leaderId, consumers }));
  const orphans = consumers.filter((consumer) => consumer.workerId === workerId);
  const names = orphans.map(({ consumer }) => consumer).join(", ");

  stage.doing(`${child.name} is killed`);
  const killedAt = performance.now();
  await child.kill();
  stage.tell(`${child.name} was killed (SIGKILL): it ran ${names}${leaderId === workerId ? ", and led" : ""}`);
  stage.doing(`others take over from ${child.name}`);
  const { takenOverMs, wentOnMs } = await measureFailover(stage.sql, orphans, {
    killedAt,
    limitMs: failoverLimitMs,
    signal: stage.signal,
  });
  stage.tell(`others took over after ${takenOverMs} ms, and had committed effects after ${wentOnMs} ms`);
  return wentOnMs;
}

/** Stops the producer, waits until every consumer is at the end of the log, and stops the workers in good order. */
export async function finish(stage: Stage): Promise<void> {
  stage.doing("the producer stops");
  await stage.producer.stop();
  stage.doing("the consumers go on to the end of the log");
  const startedAt = performance.now();
  await lookUntil(stage, "every consumer at the end of the log", ({ consumers }) =>
    consumers.every(({ lag }) => lag === 0),
  );
  const tookMs = Math.round(performance.now() - startedAt);
  stage.tell(`the producer stopped, and ${tookMs} ms later every consumer was at the end`);
  stage.doing("the workers stop");
  await stage.fleet.stop();
}

function memberById({ workers }: Fleet, workerId: string | null): FleetWorker {
  const worker = workers.find((candidate) => candidate.workerId === workerId);
  if (!worker) throw new DemoFailure(`Expected the owner of a consumer to be a worker of this demo, got ${workerId}.`);
  return worker;
}
