// Makes the site out of the pages of the repository and the doc comments of the packages:
//   npm run docs                 builds it into docs/site/.vitepress/dist
//   npm run docs -- --serve      shows it on loopback, and follows changes of pages
// A link that leads nowhere, or a doc comment that names what there is not, fails it.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const site = join(import.meta.dirname, "../docs/site");
const { values } = parseArgs({ options: { serve: { type: "boolean", default: false } } });

rmSync(join(site, "reference"), { recursive: true, force: true });
run("typedoc/bin/typedoc");
run("vitepress/bin/vitepress.js", ...(values.serve ? ["dev", "--host", "127.0.0.1"] : ["build"]));

function run(program: string, ...args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [join(site, "node_modules", program), ...args], {
    cwd: site,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
