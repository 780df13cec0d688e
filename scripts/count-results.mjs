/**
 * Counts passed and failed tests in vitest's JSON report. The report's own totals leave out what happens outside a test,
 * so a file that failed without a failed test (it could not be imported, a hook threw) counts as one failure, and so
 * does a run that ended badly for a reason the report doesn't name (an unhandled rejection, no report at all).
 *
 * @param {{ testResults: { status: string, assertionResults: { status: string }[] }[] } | undefined} report
 * @param {number} exitCode vitest's own
 */
export function countResults(report, exitCode) {
  let passed = 0;
  let failed = 0;
  for (const file of report?.testResults ?? []) {
    const failedHere = file.assertionResults.filter((test) => test.status === "failed").length;
    passed += file.assertionResults.filter((test) => test.status === "passed").length;
    failed += failedHere === 0 && file.status === "failed" ? 1 : failedHere;
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
