// Runs the tests and says at the end, in one plain line, how many passed and failed. Arguments go to vitest:
// `npm test -- --project unit packages/core`.
import { runVitest } from "./run-vitest.ts";

const { passed, failed, exitCode } = runVitest(process.argv.slice(2), ".vitest/report.json");
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? exitCode || 1 : exitCode);
