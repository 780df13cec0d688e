import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { type AppendResult, isPupError } from "@pup/core";
import type { PgStore } from "@pup/store-pg";
import type { OpenAccount, RigEvent } from "./account.ts";
import { isOutage } from "./outage.ts";
import type { Script, Step } from "./script.ts";
import { type AppendTx, OutcomeUnknown, type Way } from "./ways.ts";

/** What everybody who appends works with. */
export interface Desk {
  readonly store: PgStore;
  readonly account: OpenAccount;
  /** Whether workers are told of appends. */
  readonly notifies: () => boolean;
}

/** What was done in a transaction, as long as nobody knows how it ends. */
export interface Draft {
  readonly results: AppendResult[];
  readonly kept: RigEvent[];
  readonly undone: RigEvent[];
}

/** How a transaction ended. */
export type Ending = "committed" | "rolled back" | "unknown";

class ChangedMind extends Error {}

/** Plays a transaction, and answers with what it did and how it ended. What must not happen is put into the account. */
export async function playScript(desk: Desk, script: Script, way: Way): Promise<Draft & { readonly ending: Ending }> {
  const draft: Draft = { results: [], kept: [], undone: [] };
  let ended = (): void => undefined;
  try {
    await way(async ({ tx, savepoint }) => {
      ended = desk.account.spans.begin();
      for (const step of script.steps) await playStep(desk, draft, step, tx, savepoint);
      if (script.holdMs > 0) await sleep(script.holdMs);
      if (!script.commits) throw new ChangedMind();
    });
    return { ...draft, ending: "committed" };
  } catch (error) {
    return { ...draft, ending: judge(desk, error) };
  } finally {
    ended();
  }
}

/** Enters a transaction and its ending into the account. */
export function enter(account: OpenAccount, draft: Draft, ending: Ending): void {
  account.count(`transactions ${ending}`);
  account.rollBack(draft.undone);
  if (ending === "committed") account.acknowledge(draft.results);
  if (ending === "rolled back") account.rollBack(draft.kept);
  if (ending === "unknown") account.loseSight(draft.kept);
}

async function playStep(
  { store, account, notifies }: Desk,
  draft: Draft,
  step: Step,
  tx: AppendTx,
  savepoint: (work: (inner: AppendTx) => Promise<void>) => Promise<void>,
): Promise<void> {
  const wake = notifies();
  switch (step.kind) {
    case "append":
      draft.kept.push(...step.events);
      draft.results.push(await store.append(step.events, { tx, wake }));
      return;
    case "savepoint": {
      const { events, undone } = step;
      account.count(undone ? "savepoints undone" : "savepoints");
      (undone ? draft.undone : draft.kept).push(...events);
      const done = savepoint(async (inner) => {
        const result = await store.append(events, { tx: inner, wake });
        if (undone) throw new ChangedMind();
        draft.results.push(result);
      });
      await done.catch((error: unknown) => {
        if (!undone || !(error instanceof ChangedMind)) throw error;
      });
      return;
    }
    case "repeat": {
      const events = account.recall(step.choice);
      if (events) expectRepetition(account, events, await store.append(events, { tx, wake }));
      return;
    }
    case "conflict": {
      const [existing] = account.recall(step.choice) ?? [];
      if (existing)
        await expectConflict(account, () =>
          store.append([{ ...existing, id: step.id }], { tx, wake, expectedVersion: "no-stream" }),
        );
      return;
    }
  }
}

/** A repeated append answers with the places of the first time. */
export function expectRepetition(account: OpenAccount, events: readonly RigEvent[], result: AppendResult): void {
  account.count("repetitions");
  const places = result.events.map((event) => `${event.globalPosition}/${event.aggregateVersion}`);
  const expected = events.map(({ id }) => account.acknowledged.get(id));
  if (result.duplicate && places.join() === expected.join()) return;
  account.complain(
    `A repeated append answered ${places.join()} (duplicate: ${result.duplicate}), not ${expected.join()}.`,
  );
}

/** An append that must be refused. Errors of another kind are passed on. */
export async function expectConflict(account: OpenAccount, append: () => Promise<unknown>): Promise<void> {
  try {
    await append();
  } catch (error) {
    if (!isPupError(error) || error.code !== "PUP_CONCURRENCY_CONFLICT") throw error;
    account.count("conflicts");
    return;
  }
  account.complain("An append to an aggregate that exists was not refused, although it was to be the first.");
}

function judge({ store, account }: Desk, error: unknown): Ending {
  if (error instanceof ChangedMind) return "rolled back";
  if (!isOutage(store, error)) account.complain(inspect(error));
  const commitWasSent = error instanceof OutcomeUnknown || (isPupError(error) && error.code === "PUP_COMMIT_UNKNOWN");
  return commitWasSent ? "unknown" : "rolled back";
}
