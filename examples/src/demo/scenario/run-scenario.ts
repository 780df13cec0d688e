import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";
import { addWorker, finish, killWorker, startWorkers, stopWorker } from "./steps.ts";
import { planTimeline } from "./timeline.ts";

/** What came of it. */
export interface ScenarioOutcome {
  /** From the kill until every consumer of the dead worker had committed effects under another one, in milliseconds. */
  readonly failoverMs: number;
}

/** Lets workers come, go and die while events are appended; ends when every consumer has handled all of them. */
export async function runScenario(stage: Stage, seconds: number): Promise<ScenarioOutcome> {
  const { fleet, producer, signal } = stage;
  const timeline = planTimeline(seconds);
  await startWorkers(stage, 3);

  producer.start();
  const startedAt = performance.now();
  stage.tell(`ten connections append for ${seconds} s; some roll back, one commits slowly`);
  const until = async (ms: number) => {
    stage.doing(`${fleet.workers.filter(({ child }) => child.state === "running").length} workers share the work`);
    // A step that took its time pushes the next one back.
    await sleep(Math.max(0, startedAt + ms - performance.now()), undefined, { signal });
  };

  await until(timeline.addWorkerMs);
  await addWorker(stage);
  await until(timeline.stopWorkerMs);
  await stopWorker(stage);
  await until(timeline.killWorkerMs);
  const failoverMs = await killWorker(stage);
  await until(timeline.stopProducerMs);
  await finish(stage);
  return { failoverMs };
}
