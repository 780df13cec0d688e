import type { ControlSession } from "@pup/core";

/** Ids of three workers, in order. */
export const workerA = "aaaaaaaa-0000-4000-8000-000000000001";
export const workerB = "bbbbbbbb-0000-4000-8000-000000000002";
export const workerC = "cccccccc-0000-4000-8000-000000000003";

/** Makes the session's worker leader and deals consumers out through it. */
export async function assignTo(
  session: ControlSession,
  assignments: Readonly<Record<string, string>>,
  dead: readonly string[] = [],
): Promise<void> {
  const leadership = await session.election.tick();
  if (!leadership) throw new Error("Expected the session to lead.");
  const done = await session.assign(leadership, { assignments: new Map(Object.entries(assignments)), dead });
  if (!done) throw new Error("Expected the leadership to last.");
}
