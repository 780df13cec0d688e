import { type Consumer, defineConsumer, type FailurePolicy, type RecordedEvent } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPgStore, type PgTransaction } from "@pup/store-pg";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";

/** A read model whose rules an event can break: amounts are positive. */
function amounts(onFailure: FailurePolicy): Consumer<PgTransaction> {
  return defineConsumer<PgTransaction>({
    name: "amounts",
    onFailure,
    retryBackoffMs: 5,
    maxConsecutiveFailures: 3,
    handle: (event, { tx }) => addAmount(tx, event),
  });
}

async function addAmount({ sql }: PgTransaction, { aggregateId, payload }: RecordedEvent): Promise<void> {
  await sql`insert into amounts (account, amount) values (${aggregateId}, ${(payload as { amount: number }).amount})`;
}

describe("A consumer whose events break a rule of its read model", () => {
  let parts: Parts;

  beforeEach(async () => {
    parts = await openParts(inject("postgresUrl"));
    await parts.sql`
      create table amounts (id int generated always as identity, account text, amount int constraint positive check (amount > 0))`;
  });
  afterEach(() => parts[Symbol.asyncDispose]());

  /** Appends in one transaction, hence handled in one batch: `"a 5"` adds 5 to account a. */
  async function append(...changes: string[]): Promise<bigint> {
    await parts.store.transaction(async (tx) => {
      for (const change of changes) {
        const [account = "", amount] = change.split(" ");
        const event = {
          aggregateType: "Account",
          aggregateId: account,
          type: "Changed",
          payload: { amount: Number(amount) },
        };
        await parts.store.append([event], { tx });
      }
    });
    return parts.store.latestPosition();
  }

  const rows = async () => {
    const found = await parts.sql<{ row: string }[]>`select account || ' ' || amount as row from amounts order by id`;
    return found.map(({ row }) => row);
  };
  const letters = async () => {
    const found = await parts.store.listDeadLetters({ consumer: "amounts" });
    return found.map(({ position, attempts, due }) => ({ position: Number(position), attempts, due }));
  };
  const settled = (position: bigint) =>
    vi.waitFor(async () => expect((await parts.store.readCheckpoints(["amounts"]))[0]).toMatchObject({ position }), {
      timeout: 10_000,
      interval: 10,
    });

  it("stops before the event, with what came before it kept", async () => {
    await append("a 1", "b 2", "b -1", "a 3");
    const running = parts.start({ consumers: [amounts("stop")] });

    const failed = await running.recorded.first("consumer:failed");

    expect(failed).toMatchObject({ attempts: 3, position: 2n, error: { code: "23514" } });
    expect(await rows()).toEqual(["a 1", "b 2"]);
    expect(await letters()).toEqual([]);
  });

  it("skips the event, and says in its letter what was wrong, but not with what", async () => {
    const last = await append("a 1", "b -12345", "b 2", "a 3");
    parts.start({ consumers: [amounts("skip")] });
    await settled(last);

    expect(await rows()).toEqual(["a 1", "b 2", "a 3"]);
    const [letter] = await parts.store.listDeadLetters();
    expect(letter).toMatchObject({ position: 2n, aggregateId: "b", attempts: 3, parked: false });
    expect(letter?.failure?.message).toContain('violates check constraint "positive"');
    expect(JSON.stringify(letter?.failure)).not.toContain("12345");
  });

  it("parks the account, and takes it up again in order when the rule is gone", async () => {
    const store = createPgStore({ connection: parts.url, notify: {} });
    const dispatcher = createNotifyDispatcher({ connection: parts.url });
    const running = parts.start({ store, dispatcher, consumers: [amounts("park")] });
    await settled(await append("a 1", "b -1", "b 2", "a 3"));
    await settled(await append("b 4", "a 5"));
    expect(await rows()).toEqual(["a 1", "a 3", "a 5"]);
    expect(await letters()).toEqual([
      { position: 2, attempts: 3, due: false },
      { position: 3, attempts: 0, due: false },
      { position: 5, attempts: 0, due: false },
    ]);

    await parts.store.retryDeadLetters({ consumer: "amounts" });
    const again = await running.recorded.first("dead-letter:failed");
    expect(again).toMatchObject({ position: 2n, error: { code: "23514" } });
    expect(await letters()).toMatchObject([{ attempts: 4, due: false }, { due: false }, { due: false }]);

    await parts.sql`alter table amounts drop constraint positive`;
    expect(await parts.store.retryDeadLetters({ consumer: "amounts" })).toBe(1);
    await running.recorded.first("dead-letter:resolved", ({ position }) => position === 5n);
    const last = await append("b 6");
    await reached(running, parts.store, ["amounts"], last);

    expect(await rows()).toEqual(["a 1", "a 3", "a 5", "b -1", "b 2", "b 4", "b 6"]);
    expect(await letters()).toEqual([]);
    await running.worker.stop();
    await store.close();
  });

  it("stops whatever its policy when it ends the transaction itself: its effects and its checkpoint have come apart", async () => {
    await append("a 1");
    const running = parts.start({
      consumers: [
        defineConsumer<PgTransaction>({
          name: "amounts",
          onFailure: "skip",
          handle: (_, { tx }) => tx.sql.unsafe("select 1; commit; begin").simple(),
        }),
      ],
    });

    expect((await running.recorded.first("consumer:failed")).error).toMatchObject({ code: "PUP_TRANSACTION_HIJACKED" });
    expect(await letters()).toEqual([]);
  });

  it("costs four control statements a batch, and one more while something is parked", async () => {
    // One list for each connection: others work at the same time.
    const lists: string[][] = [];
    const store = createPgStore({
      connection(overrides) {
        const list: string[] = [];
        lists.push(list);
        return postgres(parts.url, { ...overrides, debug: (_, text) => list.push(text.trim()) });
      },
    });
    const running = parts.start({ store, consumers: [amounts("park")] });
    await settled(await append("a 1"));

    /** What is said between BEGIN and COMMIT of the batch that handles the change, both included, beside the handler's own. */
    const statementsOf = async (change: string) => {
      for (const list of lists) list.length = 0;
      await settled(await append(change));
      const own = lists.find((list) => list.some((text) => text.startsWith("insert into amounts"))) ?? [];
      const end = own.lastIndexOf("commit");
      const begin = own.findLastIndex((text, index) => index < end && text.startsWith("begin"));
      return own.slice(begin, end + 1).filter((text) => !text.startsWith("insert into amounts"));
    };
    expect(await statementsOf("a 2")).toHaveLength(4);
    await settled(await append("b -1"));
    expect(await statementsOf("a 3")).toHaveLength(5);
    await parts.store.discardDeadLetters({ consumer: "amounts" });
    expect(await statementsOf("a 4")).toHaveLength(5);
    expect(await statementsOf("a 5")).toHaveLength(4);
    await running.worker.stop();
    await store.close();
  });
});
