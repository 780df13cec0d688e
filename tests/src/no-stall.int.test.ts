import { createDatabase } from "@pup/testing/postgres";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, trailConsumer } from "./support/trail.ts";

class RollBack extends Error {}

describe("A live consumer", () => {
  let parts: Parts;

  beforeEach(async () => {
    parts = await openParts(inject("postgresUrl"), { clientMax: 4 });
    await createTrail(parts.sql);
    await parts.sql`create table unrelated (id int)`;
  });
  afterEach(() => parts[Symbol.asyncDispose]());

  const order = (id: string) => ({ aggregateType: "Order", aggregateId: id, type: "Placed", payload: {} });

  it("does not wait for a transaction of the same database that has not written to the log", async () => {
    const running = parts.start({ consumers: [trailConsumer("orders")] });
    await parts.sql.begin(async (tx) => {
      await tx`insert into unrelated values (1)`;
      await tx`select pg_current_xact_id()`;
      await parts.store.append([order("o-1")]);
      // The transaction ends only after the event has arrived.
      await reached(running, parts.store, ["orders"], 1n);
    });

    expect(await compareTrail(parts.sql, "orders")).toMatchObject({ committed: 1, delivered: 1 });
  });

  it("does not wait for a transaction in another database of the server", async () => {
    const other = await createDatabase(inject("postgresUrl"));
    const elsewhere = postgres(other.url, { max: 1, fetch_types: false });
    const running = parts.start({ consumers: [trailConsumer("orders")] });
    await elsewhere.begin(async (tx) => {
      await tx`create table unrelated (id int)`;
      await parts.store.append([order("o-1")]);
      await reached(running, parts.store, ["orders"], 1n);
    });
    await elsewhere.end();
    await other.drop();

    expect(await compareTrail(parts.sql, "orders")).toMatchObject({ committed: 1, delivered: 1 });
  });

  it("gets past 500 rolled-back appends as soon as one commits behind them", async () => {
    const running = parts.start({ consumers: [trailConsumer("orders")] });
    await running.recorded.first("consumer:caught-up");
    for (let i = 0; i < 500; i++) {
      const rolledBack = parts.sql.begin(async (tx) => {
        await parts.store.append([order(`o-${i}`)], { tx });
        throw new RollBack();
      });
      await expect(rolledBack).rejects.toThrow(RollBack);
    }
    await parts.store.append([order("kept")]);
    const committedAt = performance.now();
    await reached(running, parts.store, ["orders"], await parts.store.latestPosition());

    // Promised is one second. A wait for each gap, however short, would take many.
    expect(performance.now() - committedAt).toBeLessThan(3_000);
    expect(await compareTrail(parts.sql, "orders")).toMatchObject({ committed: 1, delivered: 1 });
    expect(running.recorded.of("log:gaps-closed").flatMap(({ ranges }) => ranges)).toEqual([{ first: 1n, last: 500n }]);
  });

  it("sees an append that stays open before what was committed after it", async () => {
    let looks = 0;
    let onLook = (): void => undefined;
    const watched = {
      ...parts.store,
      inFlightAppenders() {
        looks += 1;
        onLook();
        return parts.store.inFlightAppenders();
      },
    };
    const running = parts.start({ store: watched, consumers: [trailConsumer("orders")] });
    await running.recorded.first("consumer:caught-up");
    await parts.sql.begin(async (tx) => {
      await parts.store.append([order("first")], { tx });
      await parts.store.append([order("second")]);
      const seen = looks;
      await new Promise<void>((resolve) => {
        onLook = () => looks >= seen + 5 && resolve();
      });
      expect(await compareTrail(parts.sql, "orders")).toMatchObject({ delivered: 0 });
    });
    await reached(running, parts.store, ["orders"], 2n);

    expect(await compareTrail(parts.sql, "orders")).toEqual({
      committed: 2,
      delivered: 2,
      lost: 0,
      duplicates: 0,
      outOfOrder: 0,
    });
  });
});
