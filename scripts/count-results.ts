/** The part of vitest's JSON report that counts. */
export interface TestReport {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Counts passed and failed tests. The report's own totals leave out what happens outside a test, so a file that failed
 * without a failed test (it could not be imported, a hook threw) counts as one failure, and so does a run that ended
 * badly for a reason the report does not name (an unhandled rejection, no report at all).
 */
export function countResults(report: TestReport | undefined, exitCode: number): { passed: number; failed: number } {
  let passed = 0;
  let failed = 0;
  for (const file of report?.testResults ?? []) {
    const failedHere = file.assertionResults.filter((test) => test.status === "failed").length;
    passed += file.assertionResults.filter((test) => test.status === "passed").length;
    failed += failedHere === 0 && file.status === "failed" ? 1 : failedHere;
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
