// `npm run chaos`: see docs/reliability.md.
import "../../scripts/copy-migrations.ts"; // Without a build, store-pg would not find them in its folder.
import { runProgram } from "./rig/run-program.ts";

await runProgram("chaos");
