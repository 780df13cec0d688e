import { describe, expect, it } from "vitest";
import { createRate } from "./rate.ts";

describe("createRate", () => {
  it("forgets what is older than its window, but not that it happened", () => {
    let time = 0;
    const rate = createRate(() => time, 2_000);

    rate.add(100);
    time = 1_000;
    rate.add(50);
    expect(rate.perSecond()).toBe(150);

    time = 2_500;
    expect(rate.perSecond()).toBe(25);

    time = 5_000;
    expect(rate.perSecond()).toBe(0);
    expect(rate.total).toBe(150);
  });
});
