import { describe, expect, it } from "vitest";
import { countResults } from "./count-results.ts";

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});

describe("countResults", () => {
  it("counts tests, and apart from them those skipped or still to be written", () => {
    const report = { testResults: [file("passed", "passed", "skipped"), file("failed", "passed", "failed", "todo")] };

    expect(countResults(report, 1)).toEqual({ passed: 2, failed: 1, skipped: 2 });
  });

  it("counts a file that could not be imported as a failure", () => {
    const report = { testResults: [file("passed", "passed"), file("failed")] };

    expect(countResults(report, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it("counts a file whose tests were skipped because a hook threw as a failure", () => {
    const report = { testResults: [file("failed", "skipped", "skipped")] };

    expect(countResults(report, 1)).toEqual({ passed: 0, failed: 1, skipped: 2 });
  });

  it("counts a run that ended badly although every test passed as a failure", () => {
    const report = { testResults: [file("passed", "passed")] };

    expect(countResults(report, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it("counts a run without a report as a failure", () => {
    expect(countResults(undefined, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});
