import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignConsumers } from "./assign-consumers.ts";
import type { CapableWorker } from "./coordination.ts";

type Deal = ReadonlyMap<string, string>;

const names = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(3, "0")}`);

/** Workers that all have the same code. */
const fleet = (workerIds: readonly string[], consumers: readonly string[]): CapableWorker[] =>
  workerIds.map((workerId) => ({ workerId, consumers }));

const homogeneous = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 40 }))
  .map(([workers, consumers]) => ({ workerIds: names(workers, "w"), consumers: names(consumers, "c") }));

/** Workers with different code, as in a rolling deploy. Small enough to try out every deal. */
const mixed = fc
  .array(fc.subarray(names(5, "c")), { minLength: 1, maxLength: 4 })
  .map((lists) => lists.map((consumers, index) => ({ workerId: `w-${index}`, consumers })));

const largerMixed = fc
  .array(fc.subarray(names(30, "c")), { minLength: 1, maxLength: 10 })
  .map((lists) => lists.map((consumers, index) => ({ workerId: `w-${index}`, consumers })));

/** Any deal that may have been before: of workers that are gone, of consumers that are gone, unfair ones. */
const anyPrevious = (workers: readonly CapableWorker[]) =>
  fc
    .array(
      fc.tuple(
        fc.constantFrom(...names(30, "c"), "gone"),
        fc.constantFrom(...workers.map(({ workerId }) => workerId), "gone"),
      ),
    )
    .map((entries) => new Map(entries));

const counts = (deal: Deal, workers: readonly CapableWorker[]) => {
  const load = new Map(workers.map(({ workerId }) => [workerId, 0]));
  for (const workerId of deal.values()) load.set(workerId, (load.get(workerId) ?? 0) + 1);
  return [...load.values()];
};
const spread = (deal: Deal, workers: readonly CapableWorker[]) =>
  Math.max(...counts(deal, workers)) - Math.min(...counts(deal, workers));
const moved = (before: Deal, after: Deal) =>
  [...before].filter(([consumer, workerId]) => after.get(consumer) !== workerId);

describe("assignConsumers", () => {
  it.each([
    [1, [6]],
    [2, [3, 3]],
    [3, [2, 2, 2]],
    [4, [2, 2, 1, 1]],
    [6, [1, 1, 1, 1, 1, 1]],
    [7, [1, 1, 1, 1, 1, 1, 0]],
  ])("deals 6 consumers out among %d workers as %j", (workers, distribution) => {
    const consumers = ["Analytics", "Billing", "Email", "Inventory", "Orders", "Shipping"];
    const all = fleet(names(workers, "worker"), consumers);

    expect(counts(assignConsumers(all), all).sort((a, b) => b - a)).toEqual(distribution);
  });

  it("goes round: the first consumer to the first worker, the second to the second", () => {
    fc.assert(
      fc.property(homogeneous, ({ workerIds, consumers }) => {
        const expected = consumers.map((consumer, index) => [consumer, workerIds[index % workerIds.length]]);

        expect([...assignConsumers(fleet(workerIds, consumers))]).toEqual(expected);
      }),
    );
  });

  it("gives each consumer that somebody has to exactly one who has it, and others to nobody", () => {
    fc.assert(
      fc.property(
        largerMixed.chain((workers) => fc.tuple(fc.constant(workers), anyPrevious(workers))),
        ([workers, previous]) => {
          const deal = assignConsumers(workers, previous);

          expect([...deal.keys()].sort()).toEqual([...new Set(workers.flatMap(({ consumers }) => consumers))].sort());
          for (const [consumer, workerId] of deal) {
            expect(workers.find((worker) => worker.workerId === workerId)?.consumers).toContain(consumer);
          }
        },
      ),
    );
  });

  it("gives nobody two more than another, when all have the same code, whatever was before", () => {
    fc.assert(
      fc.property(
        homogeneous.chain(({ workerIds, consumers }) => {
          const workers = fleet(workerIds, consumers);
          return fc.tuple(fc.constant(workers), anyPrevious(workers));
        }),
        ([workers, previous]) => {
          expect(spread(assignConsumers(workers, previous), workers)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it("is as even as any deal can be, when the code differs, whatever was before", () => {
    fc.assert(
      fc.property(
        mixed.chain((workers) => fc.tuple(fc.constant(workers), anyPrevious(workers))),
        ([workers, previous]) => {
          expect(unevenness(counts(assignConsumers(workers, previous), workers))).toBe(leastUnevenness(workers));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("gives the same answer whatever order workers and consumers come in", () => {
    fc.assert(
      fc.property(
        largerMixed.chain((workers) =>
          fc.tuple(
            fc.constant(workers),
            fc.shuffledSubarray(workers, { minLength: workers.length }),
            anyPrevious(workers),
          ),
        ),
        ([workers, shuffled, previous]) => {
          const reversed = shuffled.map(({ workerId, consumers }) => ({ workerId, consumers: consumers.toReversed() }));
          const before = new Map([...previous].reverse());

          expect([...assignConsumers(reversed, before)]).toEqual([...assignConsumers(workers, previous)]);
        },
      ),
    );
  });

  it("counts a consumer once that a worker names twice", () => {
    expect([...assignConsumers([{ workerId: "w", consumers: ["a", "a"] }])]).toEqual([["a", "w"]]);
  });

  it("has nothing to give without workers, and nothing without consumers", () => {
    expect(assignConsumers([]).size).toBe(0);
    expect(assignConsumers([], new Map([["a", "w"]])).size).toBe(0);
    expect(assignConsumers(fleet(["w"], [])).size).toBe(0);
  });

  it("does not change what it is given", () => {
    const workers = Object.freeze(fleet(["b", "a"], Object.freeze(["y", "x"]) as string[]));
    const previous = new Map([["x", "b"]]);

    assignConsumers(workers, previous);

    expect([...previous]).toEqual([["x", "b"]]);
  });

  describe("with the deal before", () => {
    it("moves nothing when nothing has changed", () => {
      fc.assert(
        fc.property(
          largerMixed.chain((workers) => fc.tuple(fc.constant(workers), anyPrevious(workers))),
          ([workers, previous]) => {
            const deal = assignConsumers(workers, previous);

            expect([...assignConsumers(workers, deal)]).toEqual([...deal]);
          },
        ),
      );
    });

    it("moves to a worker who joins what evenness asks for, and nothing else", () => {
      fc.assert(
        fc.property(homogeneous, ({ workerIds, consumers }) => {
          const before = assignConsumers(fleet(workerIds, consumers));
          const after = assignConsumers(fleet([...workerIds, "joiner"], consumers), before);

          expect(moved(before, after).length).toBe(Math.floor(consumers.length / (workerIds.length + 1)));
          expect(moved(before, after).every(([consumer]) => after.get(consumer) === "joiner")).toBe(true);
        }),
      );
    });

    it("moves what a worker leaves behind, and nothing else", () => {
      fc.assert(
        fc.property(homogeneous, fc.nat(), ({ workerIds, consumers }, choice) => {
          fc.pre(workerIds.length > 1);
          const leaver = workerIds[choice % workerIds.length] as string;
          const before = assignConsumers(fleet(workerIds, consumers));
          const after = assignConsumers(
            fleet(
              workerIds.filter((workerId) => workerId !== leaver),
              consumers,
            ),
            before,
          );

          expect(moved(before, after).every(([, workerId]) => workerId === leaver)).toBe(true);
        }),
      );
    });

    it("moves no more than the unfairness of the deal before, when all have the same code", () => {
      fc.assert(
        fc.property(
          homogeneous.chain(({ workerIds, consumers }) =>
            fc.tuple(
              fc.constant(fleet(workerIds, consumers)),
              fc
                .tuple(...consumers.map(() => fc.constantFrom(...workerIds)))
                .map((owners) => new Map(consumers.map((consumer, index) => [consumer, owners[index] as string]))),
            ),
          ),
          ([workers, before]) => {
            expect(moved(before, assignConsumers(workers, before)).length).toBe(leastMoves(counts(before, workers)));
          },
        ),
      );
    });

    it("keeps a consumer of a rolling deploy where its code is", () => {
      const before = new Map([
        ["orders.v1", "old"],
        ["orders.v2", "new"],
      ]);
      const workers = [
        { workerId: "new", consumers: ["orders.v2"] },
        { workerId: "old", consumers: ["orders.v1"] },
      ];

      expect(assignConsumers(workers, before)).toEqual(before);
    });
  });

  it("is done in moments with 200 workers and 2,000 consumers, even when one worker had them all", () => {
    const consumers = names(2_000, "c");
    const workers = fleet(names(200, "w"), consumers);
    const onOne = new Map(consumers.map((consumer) => [consumer, "w-000"]));
    const startedAtMs = performance.now();

    const deal = assignConsumers(workers, onOne);

    // A fifth of a second on a machine that has nothing else to do; a way to deal that does not scale takes minutes.
    expect(performance.now() - startedAtMs).toBeLessThan(20_000);
    expect(counts(deal, workers)).toEqual(workers.map(() => 10));
  });
});

/** Sum of squares: the smaller, the more even. */
function unevenness(load: readonly number[]): number {
  return load.reduce((sum, count) => sum + count ** 2, 0);
}

/** Tries out every deal there is. */
function leastUnevenness(workers: readonly CapableWorker[]): number {
  const consumers = [...new Set(workers.flatMap((worker) => worker.consumers))];
  const load = workers.map(() => 0);
  const dealFrom = (index: number): number => {
    const consumer = consumers[index];
    if (consumer === undefined) return unevenness(load);
    let least = Number.POSITIVE_INFINITY;
    for (const [owner, worker] of workers.entries()) {
      if (!worker.consumers.includes(consumer)) continue;
      load[owner] = (load[owner] ?? 0) + 1;
      least = Math.min(least, dealFrom(index + 1));
      load[owner] = (load[owner] ?? 0) - 1;
    }
    return least;
  };
  return dealFrom(0);
}

/** How many have to leave a worker that has too many, until nobody has two more than another. */
function leastMoves(load: readonly number[]): number {
  const total = load.reduce((sum, count) => sum + count, 0);
  const [few, remainder] = [Math.floor(total / load.length), total % load.length];
  // Those with the most keep one more.
  const targets = load.map((_, rank) => (rank < remainder ? few + 1 : few));
  return load
    .toSorted((a, b) => b - a)
    .reduce((moves, count, rank) => moves + Math.max(0, count - (targets[rank] ?? 0)), 0);
}
