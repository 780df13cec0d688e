import { describe, expect, it } from "vitest";
import { checkBroken, checkModel } from "./model/check-model.ts";
import { findSpin, type Spin } from "./model/find-spin.ts";
import { type BreakageName, breakages, smallChecks } from "./model/models.ts";

const spin = findSpin();
const unless = spin === undefined ? " (skipped: spin or a C compiler is not installed)" : "";
const harm: Record<BreakageName, RegExp> = {
  snapshot: /has passed events that were not handled/,
  order: /appears at or below the settled position/,
  page: /has passed events that were not handled/,
  prepared: /appears at or below the settled position/,
  restart: /appears at or below the settled position/,
  release: /appears at or below the settled position/,
  epoch: /have been applied before/,
  fence: /a handler works under epoch 1 while the present one is 2/,
  position: /have been applied before/,
  term: /in term 2 a leader of term 1 deals/,
};

// Compilers and what they made, beside other tests: seconds on a machine that has nothing else to do.
describe.skipIf(spin === undefined)(`The models${unless}`, { timeout: 120_000 }, () => {
  it.each(smallChecks)("keep every invariant in any order of steps: $model in small", async (check) => {
    const { story, states } = await checkModel(spin as Spin, check, AbortSignal.timeout(110_000));

    expect(story).toBeNull();
    // A model that cannot move breaks nothing either.
    expect(states).toBeGreaterThan(10_000);
  });

  it.each(Object.keys(breakages) as BreakageName[])("tell what goes wrong without a protection: %s", async (name) => {
    const { story } = await checkBroken(spin as Spin, name, AbortSignal.timeout(110_000));

    expect(story?.at(-1)).toMatch(harm[name]);
  });
});
