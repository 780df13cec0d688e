// Tests in memory under jest. `scripts/test-runners.test.ts` runs them.
import { describe, expect, it } from "@jest/globals";
import { createWorker } from "@pup/coordinator";
import { createGiven, createHarness, type EmittedName, type EmittedPattern, emitterMatchers } from "@pup/testing";
import { openOrders, orderPlaced, orderShipped } from "./open-orders.ts";

expect.extend(emitterMatchers);

declare module "expect" {
  // The parameters and their bounds have to be those of jest's own declaration.
  interface Matchers<R extends void | Promise<void>, T = unknown> {
    toHaveEmitted<Name extends EmittedName<T>>(name: Name, payload?: EmittedPattern<T, Name>): R;
  }
}

describe("jest", () => {
  const given = createGiven({ createWorker });

  it("plays given, when, then", () =>
    given([orderPlaced("o-1"), orderPlaced("o-2")])
      .when(openOrders)
      .when([orderShipped("o-1")])
      .then(({ store, recorded }) => {
        expect([...store.table("open").keys()]).toEqual(["o-2"]);
        expect(recorded).toHaveEmitted("batch:committed", { consumer: openOrders.name, events: expect.any(Number) });
      }));

  it("runs a harness", async () => {
    const harness = createHarness({ createWorker, consumers: [openOrders], workers: 3 });
    await harness.append([orderPlaced("o-1")]);
    await harness.settle();

    expect([...harness.store.table("open").keys()]).toEqual(["o-1"]);
    expect(harness.recorded).toHaveEmitted("consumer:acquired", { consumer: openOrders.name });
    expect(harness.recorded).not.toHaveEmitted("batch:failed");
    expect(() => expect(harness.recorded).toHaveEmitted("batch:failed")).toThrow(
      'Expected "batch:failed" to have been emitted, but it was not.',
    );
    await harness.close();
  });
});
