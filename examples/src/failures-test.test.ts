// What becomes of events that a consumer cannot handle, and of those that come twice.
import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createGiven, type MemoryTransaction } from "@pup/testing";
import { expect, it } from "vitest";
import "@pup/testing/vitest";

const given = createGiven({ createWorker });
const placed = (aggregateId: string, cents: number) => ({
  aggregateType: "Order",
  aggregateId,
  type: "OrderPlaced",
  payload: { cents },
});

const turnover = defineConsumer<MemoryTransaction>({
  name: "turnover.v1",
  async handle({ payload }, { tx }) {
    const { cents } = payload as { cents: number };
    if (cents < 0) throw new RangeError(`Expected a price, got ${cents}.`);
    await tx.table<number>("turnover").update("all", (sum = 0) => sum + cents);
  },
});

it("stops before an order without a price", () =>
  given([placed("o-1", 100), placed("o-2", -5), placed("o-3", 20)])
    .when(turnover)
    .thenThrows((error, { store, checkpoint }) => {
      expect(error).toEqual(new RangeError("Expected a price, got -5."));
      expect(store.table("turnover").get("all")).toBe(100);
      expect(checkpoint).toBe(1n);
    }));

it("can skip it instead, after five attempts", () =>
  given([placed("o-1", 100), placed("o-2", -5), placed("o-3", 20)])
    .when(turnover, { onFailure: "skip" })
    .then(({ store, checkpoint, deadLetters, recorded }) => {
      expect(store.table("turnover").get("all")).toBe(120);
      expect(checkpoint).toBe(3n);
      expect(deadLetters).toMatchObject([{ position: 2n, failure: { message: "Expected a price, got -5." } }]);
      expect(recorded).toHaveEmitted("dead-letter:added", { consumer: "turnover.v1", attempts: 5 });
    }));

it("sends a mail again when it cannot be sure", async () => {
  const sent: string[] = [];
  const mailer = defineConsumer({
    name: "mailer.v1",
    transaction: "none",
    handle: ({ aggregateId }) => sent.push(aggregateId),
  });

  await given([placed("o-1", 100)]).when(mailer, { redeliver: true });

  expect(sent).toEqual(["o-1", "o-1"]);
});
