import { setTimeout as sleep } from "node:timers/promises";
import type { TcpProxy } from "@pup/testing/postgres";
import type { Seat } from "../fleet/fleet.ts";
import { machineMs } from "../machine-time.ts";
import { lookUntil } from "../patience.ts";
import { readOwnership, type Stage } from "../stage.ts";
import { findOwner, findVictim } from "./find-victim.ts";
import { measureFailover } from "./measure-failover.ts";
import type { Fault } from "./plan.ts";
import { terminateBackends, terminateSession } from "./terminate.ts";

/** What came of a fault. */
export interface Inflicted {
  /** In words. */
  readonly what: string;
  /** How long others took to go on with what a killed worker ran, in milliseconds; when that is known. */
  readonly failoverMs?: Promise<number | undefined>;
}

/**
 * Lets a fault happen, and ends it when its time is over.
 *
 * @returns what happened; null when nothing did because nobody was in the part
 */
export async function inflict(stage: Stage, fault: Fault): Promise<Inflicted | null> {
  const { server, sql, fleet, notifications, signal } = stage;
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => undefined);
  const told = (what: string): Inflicted => {
    stage.tell(what);
    return { what };
  };

  switch (fault.kind) {
    case "kill": {
      const seat = await findVictim(stage, fault.victim);
      return seat ? killWorker(stage, seat, fault.victim, fault.emptyMs) : null;
    }

    case "freeze": {
      const seat = await findVictim(stage, fault.victim);
      const frozen = seat?.process;
      if (!seat || !frozen) return null;
      fleet.disturbed(seat);
      frozen.freeze();
      const outcome = told(`${seat.name} (${fault.victim}) frozen for ${fault.forMs} ms`);
      await pause(fault.forMs);
      fleet.disturbed(seat);
      frozen.thaw();
      return outcome;
    }

    case "freeze-in-batch":
      return freezeInBatch(stage, fault.consumer);

    case "terminate-backends": {
      const ended = await terminateBackends(sql, fault.count);
      return ended > 0 ? told(`${ended} sessions of workers terminated`) : null;
    }

    case "terminate-session": {
      const ended = await terminateSession(sql, fault.session);
      return ended > 0 ? told(`a ${fault.session} session terminated`) : null;
    }

    case "restart-server": {
      everybodyDisturbed(stage);
      await server.stop(fault.mode);
      await pause(fault.downMs);
      await server.start();
      everybodyDisturbed(stage);
      return told(`the server was stopped (${fault.mode}) and away for ${fault.downMs} ms`);
    }

    case "latency":
      return withLine(stage, fault.seat, async (line, seat) => {
        line.delayMs = fault.delayMs;
        const outcome = told(`${seat.name}: ${fault.delayMs} ms more each way, for ${fault.forMs} ms`);
        await pause(fault.forMs);
        line.delayMs = 0;
        return outcome;
      });

    case "reset":
      return withLine(stage, fault.seat, async (line, seat) => {
        line.reset();
        return told(`${seat.name}: all connections reset`);
      });

    case "half-open":
      return withLine(stage, fault.seat, async (line, seat) => {
        line.setHalfOpen(true);
        const outcome = told(`${seat.name}: nothing gets through for ${fault.forMs} ms`);
        await pause(fault.forMs);
        line.setHalfOpen(false);
        // What was swallowed is missing on both sides: they would wait for ever, or for as long as the system allows.
        line.reset();
        return outcome;
      });

    case "lost-notifications": {
      notifications.lost = true;
      const outcome = told(`notifications are lost for ${fault.forMs} ms`);
      await pause(fault.forMs);
      notifications.lost = false;
      return outcome;
    }

    case "skewed-clock": {
      const seat = await findVictim(stage, fault.victim);
      if (!seat) return null;
      await fleet.stop(seat);
      await fleet.start(seat, fault.skewMs);
      return told(`${seat.name} (${fault.victim}) restarted, with a clock that is ${fault.skewMs / 3_600_000} h off`);
    }
  }
}

async function killWorker(stage: Stage, seat: Seat, victim: string, emptyMs: number): Promise<Inflicted> {
  const { sql, fleet, signal } = stage;
  const { workerId } = seat.process ?? {};
  const orphans = (await readOwnership(sql)).filter(({ ownerId }) => ownerId === workerId);
  const diedAt = machineMs();
  await seat.process?.kill();
  const what = `${seat.name} (${victim}) killed: it ran ${orphans.length} consumers`;
  stage.tell(what);

  const failoverMs = stage
    .mark()
    .then((position) => measureFailover(sql, orphans, { diedAt, position, signal }))
    .then((ms) => {
      if (ms !== undefined) stage.tell(`others had gone on with all of that after ${Math.round(ms)} ms`);
      return ms;
    })
    .catch(() => undefined);
  await sleep(emptyMs, undefined, { signal }).catch(() => undefined);
  if (!signal.aborted) await fleet.start(seat);
  // Without its protection a consumer may never go on as it should: that shows in the comparison.
  return orphans.length > 0 && stage.broken === null ? { what, failoverMs } : { what };
}

/** How long to wait for a batch of a consumer, and for another worker to go on with it once its owner is silent, in milliseconds. */
const PATIENCE_MS = { batch: 3_000, takeOver: 15_000 };

/** Freezes an owner right before a batch, until another worker has committed all that the batch holds. */
async function freezeInBatch(stage: Stage, consumer: string): Promise<Inflicted | null> {
  const { sql, fleet, signal } = stage;
  const seat = await findOwner(stage, consumer);
  const victim = seat?.process;
  if (!seat || !victim) return null;

  fleet.disturbed(seat);
  victim.order({ freezeBeforeBatchOf: consumer });
  const frozenBefore = await lookUntil(async () => victim.frozenBefore ?? undefined, {
    limitMs: PATIENCE_MS.batch,
    signal,
  });
  const wentOn =
    frozenBefore !== undefined &&
    (await lookUntil(
      async () => {
        const now = (await readOwnership(sql)).find((ownership) => ownership.consumer === consumer);
        return now?.ownerId !== victim.workerId && now && now.position >= frozenBefore ? true : undefined;
      },
      { limitMs: PATIENCE_MS.takeOver, signal },
    ));
  victim.order({ freezeBeforeBatchOf: null });
  fleet.disturbed(seat);
  victim.thaw();
  if (!wentOn) return null;
  const what = `${seat.name} was frozen before a batch of "${consumer}" until another worker had gone on with it`;
  stage.tell(what);
  return { what };
}

async function withLine(
  { fleet }: Stage,
  index: number,
  work: (line: TcpProxy, seat: Seat) => Promise<Inflicted>,
): Promise<Inflicted | null> {
  const seat = fleet.seats[index];
  if (!seat?.proxy) return null;
  fleet.disturbed(seat);
  const outcome = await work(seat.proxy, seat);
  fleet.disturbed(seat);
  return outcome;
}

function everybodyDisturbed({ fleet }: Stage): void {
  for (const seat of fleet.seats) fleet.disturbed(seat);
}
