import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isPupError } from "@pup/core";
import type { PgStore } from "@pup/store-pg";
import type { Decision } from "../shop/decide.ts";
import type { ShopTables } from "../shop/tables.ts";
import type { Ledger } from "./ledger.ts";
import { chance, type ShopFloor } from "./shop-floor.ts";

/** What a shopper needs. */
export interface ShopperOptions {
  readonly store: PgStore<ShopTables>;
  readonly floor: ShopFloor;
  readonly ledger: Ledger;
  /** Keeps transactions open for a while, with rests in between, so that what was appended later commits first. */
  readonly slow: boolean;
  readonly signal: AbortSignal;
}

const rollbackRate = 0.15;

/** Does one thing after the other in the shop until told to stop. Finishes what it is at. */
export async function runShopper({ store, floor, ledger, slow, signal }: ShopperOptions): Promise<void> {
  while (!signal.aborted) {
    const decisions = await floor.think();
    if (decisions === null) continue;
    try {
      await act(decisions);
    } catch (error) {
      // Two shoppers went on with the same order, and the other one was faster.
      if (!isPupError(error) || error.code !== "PUP_CONCURRENCY_CONFLICT") throw error;
      ledger.conflict();
    }
    await rest();
  }

  async function rest(): Promise<void> {
    const ms = slow ? randomInt(500, 2_500) : randomInt(5, 30);
    // Told to stop, it stops: the rest is cut short.
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async function act(decisions: readonly Decision[]): Promise<void> {
    const rollBack = chance(rollbackRate);
    const [only, ...others] = decisions;
    if (only === undefined) return;
    if (rollBack || slow || others.length > 0) return appendTogether(decisions, rollBack);

    const { events } = await store.append(only.events, { expectedVersion: only.expectedVersion });
    ledger.acknowledged(events);
    floor.remember(decisions);
  }

  /** Appends in a transaction of our own: all of it or nothing. */
  async function appendTogether(decisions: readonly Decision[], rollBack: boolean): Promise<void> {
    const appended: { readonly id: string }[] = [];
    try {
      await store.transaction(async (tx) => {
        for (const { events, expectedVersion } of decisions) {
          appended.push(...(await store.append(events, { expectedVersion, tx })).events);
        }
        // Positions are drawn by now: whoever appends meanwhile draws higher ones, and commits first.
        if (slow) await sleep(randomInt(100, 800));
        if (rollBack) throw new ChangedMind();
      });
    } catch (error) {
      ledger.rolledBack(appended);
      if (error instanceof ChangedMind) return;
      throw error;
    }
    ledger.acknowledged(appended);
    floor.remember(decisions);
  }
}

class ChangedMind extends Error {}
