/** The part of vitest's JSON report that counts. */
export interface TestReport {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** How many tests came to what. */
export interface Results {
  readonly passed: number;
  readonly failed: number;
  /** Those that did not run, by what they say themselves: skipped here, or still to be written. */
  readonly skipped: number;
}

/**
 * Counts passed, failed and skipped tests. The report's own totals leave out what happens outside a test, so a file that
 * failed without a failed test (it could not be imported, a hook threw) counts as one failure, and so does a run that ended
 * badly for a reason the report does not name (an unhandled rejection, no report at all).
 */
export function countResults(report: TestReport | undefined, exitCode: number): Results {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of report?.testResults ?? []) {
    const count = (status: string) => file.assertionResults.filter((test) => test.status === status).length;
    const failedHere = count("failed");
    passed += count("passed");
    failed += failedHere === 0 && file.status === "failed" ? 1 : failedHere;
    skipped += file.assertionResults.length - failedHere - count("passed");
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped };
}
