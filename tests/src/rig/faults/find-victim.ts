import type { Seat } from "../fleet/fleet.ts";
import { lookUntil } from "../patience.ts";
import { findLeader, readOwnership, type Stage } from "../stage.ts";
import type { Victim } from "./plan.ts";

/** How long to look for somebody in the part, in milliseconds: after a fault it takes a moment until everything has an owner. */
const SEARCH_MS = 3_000;

/** A worker that has the part, and runs; of the followers the one with most consumers. Undefined when there is none. */
export function findVictim(stage: Stage, victim: Victim): Promise<Seat | undefined> {
  const look = async () => {
    const leader = await findLeader(stage);
    if (victim === "leader") return leader?.process?.frozen ? undefined : leader;
    const owners = (await readOwnership(stage.sql)).flatMap(({ ownerId }) => stage.fleet.bySeatOf(ownerId) ?? []);
    const load = (seat: Seat) => owners.filter((owner) => owner === seat).length;
    return [...new Set(owners)]
      .filter((seat) => seat !== leader && !seat.process?.frozen)
      .sort((a, b) => load(b) - load(a))[0];
  };
  return lookUntil(look, { limitMs: SEARCH_MS, everyMs: 50, signal: stage.signal });
}

/** The worker that runs a consumer; undefined when nobody does who is not frozen. */
export function findOwner(stage: Stage, consumer: string): Promise<Seat | undefined> {
  const look = async () => {
    const owned = (await readOwnership(stage.sql)).find((ownership) => ownership.consumer === consumer);
    const seat = stage.fleet.bySeatOf(owned?.ownerId ?? null);
    return seat?.process?.frozen ? undefined : seat;
  };
  return lookUntil(look, { limitMs: SEARCH_MS, everyMs: 50, signal: stage.signal });
}
