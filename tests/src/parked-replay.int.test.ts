import { defineConsumer } from "@pup/core";
import type { PgTransaction } from "@pup/store-pg";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { openParts, type Parts, reached } from "./support/open-parts.ts";
import { compareTrail, createTrail, leaveTrail } from "./support/trail.ts";
import { stepsBack, watchCheckpoints } from "./support/watch-checkpoints.ts";

let parts: Parts;

beforeEach(async () => {
  parts = await openParts(inject("postgresUrl"));
  await createTrail(parts.sql);
  await watchCheckpoints(parts.sql);
});
afterEach(() => parts[Symbol.asyncDispose]());

it("A replay of parked events handles each once, in its aggregate's order, and leaves the checkpoint at the head", async () => {
  let broken = true;
  const orders = defineConsumer<PgTransaction>({
    name: "orders",
    onFailure: "park",
    maxConsecutiveFailures: 1,
    async handle(event, { tx }) {
      if (broken && event.aggregateId === "bad") throw new Error("Not yet.");
      await leaveTrail(tx, "orders", [event]);
    },
  });
  const append = (aggregateId: string) =>
    parts.store.append([{ aggregateType: "Order", aggregateId, type: "Changed", payload: {} }]);
  for (const aggregateId of ["good", "bad", "good", "bad", "good", "bad"]) await append(aggregateId);
  const running = parts.start({ consumers: [orders] });
  await reached(running, parts.store, ["orders"], 6n);
  expect((await parts.store.listDeadLetters()).map(({ position }) => position)).toEqual([2n, 4n, 6n]);

  broken = false;
  await parts.store.retryDeadLetters({ consumer: "orders" });
  await running.recorded.first("dead-letter:resolved", ({ position }) => position === 6n);
  await append("bad");
  await reached(running, parts.store, ["orders"], 7n);

  const handled = await parts.sql`select position::int from trail order by seq`;
  expect(handled.map(({ position }) => position)).toEqual([1, 3, 5, 2, 4, 6, 7]);
  expect(await compareTrail(parts.sql, "orders")).toMatchObject({ delivered: 7, lost: 0, duplicates: 0 });
  expect(await stepsBack(parts.sql)).toEqual([]);
});
