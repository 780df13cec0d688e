// `npm run bench -- [case …]`: see docs/performance.md.
import "../../scripts/copy-migrations.ts"; // Without a build, store-pg would not find them in its folder.
import { runBench } from "./run-bench.ts";

await runBench(process.argv.slice(2));
