// Tests in memory under node:test. `scripts/test-runners.test.ts` runs them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createWorker } from "@pup/coordinator";
import { assertEmitted, createGiven, createHarness } from "@pup/testing";
import { openOrders, orderPlaced, orderShipped } from "./open-orders.ts";

describe("node:test", () => {
  const given = createGiven({ createWorker });

  it("plays given, when, then", () =>
    given([orderPlaced("o-1"), orderPlaced("o-2")])
      .when(openOrders)
      .when([orderShipped("o-1")])
      .then(({ store, recorded }) => {
        assert.deepEqual([...store.table("open").keys()], ["o-2"]);
        assertEmitted(recorded, "batch:committed", { consumer: openOrders.name, position: 3n });
      }));

  it("runs a harness", async () => {
    const harness = createHarness({ createWorker, consumers: [openOrders], workers: 3 });
    await harness.append([orderPlaced("o-1")]);
    await harness.settle();

    assert.deepEqual([...harness.store.table("open").keys()], ["o-1"]);
    assertEmitted(harness.recorded, "consumer:acquired", { consumer: openOrders.name });
    assert.throws(
      () => assertEmitted(harness.recorded, "batch:failed"),
      /Expected "batch:failed" to have been emitted, but it was not/,
    );
    await harness.close();
  });
});
