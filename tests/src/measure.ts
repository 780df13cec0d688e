// `npm run measure -- <what>`: see docs/reliability.md.
import "../../scripts/copy-migrations.ts"; // Without a build, store-pg would not find them in its folder.
import { runMeasure } from "./measure/run-measure.ts";

await runMeasure(process.argv.slice(2));
