import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createPgStore, migrate } from "@pup/store-pg";
import { createDatabase } from "@pup/testing/postgres";
import { expect, inject, it } from "vitest";

/** The first program in a package's README. */
async function readSample(packageName: string): Promise<string> {
  const readme = await readFile(new URL(`../../packages/${packageName}/README.md`, import.meta.url), "utf8");
  return /```ts\n([^`]+)```/.exec(readme)?.[1] ?? "";
}

it.each(["dispatch-poll", "dispatch-notify"])("the program in the README of %s runs", async (packageName) => {
  const database = await createDatabase(inject("postgresUrl"));
  // Among the tests, so that it finds the packages.
  const folder = await mkdtemp(join(import.meta.dirname, "readme-"));
  try {
    await migrate({ connection: database.url });
    const program = join(folder, "sample.ts");
    await writeFile(program, await readSample(packageName));
    const running = spawn(process.execPath, ["--conditions=@pup/source", program], {
      env: { ...process.env, DATABASE_URL: database.url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(running, "exit");
    const store = createPgStore({ connection: database.url, notify: {} });
    await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} }]);
    await store.close();

    const [said] = await once(running.stdout, "data");
    running.kill("SIGTERM");
    const [exitCode] = await exited;

    expect(String(said)).toBe("OrderPlaced\n");
    expect(exitCode).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
    await database.drop();
  }
});
