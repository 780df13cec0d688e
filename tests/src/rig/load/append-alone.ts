import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { type ExpectedVersion, isPupError } from "@pup/core";
import type { RigEvent } from "./account.ts";
import { isOutage } from "./outage.ts";
import { type Desk, expectConflict, expectRepetition } from "./play-script.ts";

const againAfterMs = 50;

/**
 * Appends in a transaction of the store's, as an application does that wants an answer: with the same ids until there is one.
 * Aborted before, it is not known what came of it.
 */
export async function appendAlone(
  { store, account, notifies }: Desk,
  events: readonly RigEvent[],
  expectedVersion: ExpectedVersion,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    const ended = account.spans.begin();
    try {
      account.acknowledge([await store.append(events, { expectedVersion, wake: notifies() })]);
      account.count(attempt === 1 ? "appends" : "appends after an outage");
      return;
    } catch (error) {
      if (isPupError(error) && error.code === "PUP_CONCURRENCY_CONFLICT") {
        account.count("conflicts");
        return account.rollBack(events);
      }
      if (!isOutage(store, error)) {
        account.complain(inspect(error));
        return account.loseSight(events);
      }
    } finally {
      ended();
    }
    await sleep(againAfterMs);
  }
  account.loseSight(events);
}

/** Extends an aggregate that others extend at the same time, expecting the version that it had a moment before. */
export async function appendToVersion(desk: Desk, events: readonly RigEvent[], signal: AbortSignal): Promise<void> {
  const [first] = events;
  if (!first) return;
  const version = await ignoreOutage(
    desk,
    async () => (await desk.store.readStream(first, { fromVersion: 2 ** 31 - 1 })).version,
  );
  if (version !== undefined) await appendAlone(desk, events, version, signal);
}

/** Repeats what was acknowledged a while ago. */
export async function repeatAlone(desk: Desk, choice: number): Promise<void> {
  const events = desk.account.recall(choice);
  if (!events) return;
  await ignoreOutage(desk, async () => expectRepetition(desk.account, events, await desk.store.append(events)));
}

/** Appends to an aggregate that exists as if it did not. */
export async function conflictAlone(desk: Desk, choice: number, id: string): Promise<void> {
  const [existing] = desk.account.recall(choice) ?? [];
  if (!existing) return;
  const append = () => desk.store.append([{ ...existing, id }], { expectedVersion: "no-stream" });
  await ignoreOutage(desk, () => expectConflict(desk.account, append));
}

/** Does what changes nothing; undefined when the server is away. */
async function ignoreOutage<Result>(
  { store, account }: Desk,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isOutage(store, error)) account.complain(inspect(error));
    return undefined;
  }
}
