// `npm run example -- <name>`: runs one of the programs here against a PostgreSQL of its own, which is gone afterwards. With
// DATABASE_URL set, against that one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { startPostgres } from "@pup/testing/postgres";

const programs = [
  "quick-start",
  "notify",
  "run-once",
  "append-in-your-transaction",
  "handle-batch",
  "fastify-app",
  "kysely-app",
  "outbox",
  "production",
];

const [name = ""] = process.argv.slice(2);
const file = join(import.meta.dirname, `${name}.ts`);
if (!programs.includes(name) || !existsSync(file)) {
  console.error(`Expected the name of an example, got ${JSON.stringify(name)}: ${programs.join(", ")}.`);
  process.exit(2);
}

const server = process.env.DATABASE_URL ? null : await startPostgres({ source: "binaries" });
const env = { ...process.env, DATABASE_URL: process.env.DATABASE_URL ?? server?.url };
// Signals go to the whole process group, so the program gets them too; this one waits for its end, and takes the server down.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
try {
  // Its tables are there before a worker is: what a deployment does.
  process.exitCode =
    (name === "production" ? await run(join(import.meta.dirname, "migrate.ts")) : 0) || (await run(file));
} finally {
  await server?.close();
}

async function run(program: string): Promise<number> {
  const child = spawn(process.execPath, ["--conditions=@pup/source", program], { env, stdio: "inherit" });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + constants.signals[signal ?? "SIGTERM"];
}
