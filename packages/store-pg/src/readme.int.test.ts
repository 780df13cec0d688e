import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { createDatabase } from "@pup/testing/postgres";
import { expect, inject, it } from "vitest";
import { pgStoreDefaults } from "./options.ts";
import { defaultTableNames } from "./schema/tables.ts";

const packageFolder = new URL("..", import.meta.url);
const readme = await readFile(new URL("README.md", packageFolder), "utf8");

it("shows a program in the README that runs as it stands", async () => {
  const [, program = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const database = await createDatabase(inject("postgresUrl"));
  try {
    const flags = ["--conditions=@pup/source", "--no-warnings", "--input-type=module-typescript", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, flags, {
      cwd: packageFolder,
      env: { ...process.env, DATABASE_URL: database.url },
    });

    expect(stdout).toBe("version 2: OrderPlaced, OrderPaid\n");
  } finally {
    await database.drop();
  }
});

it("names every table in the README, and every default", () => {
  for (const [option, table] of Object.entries(defaultTableNames)) {
    expect(readme).toMatch(new RegExp(`\\| \`${table}\` \\| \`${option}\` \\|`));
  }
  expect(readme).toContain(`| \`max\` | ${pgStoreDefaults.max} |`);
  expect(readme).toContain(
    `| \`statementTimeoutMs\` | ${pgStoreDefaults.statementTimeoutMs.toLocaleString("fr-FR").replace(/\s/, " ")} |`,
  );
  expect(readme).toContain(`minIntervalMs?: ${pgStoreDefaults.minIntervalMs}`);
});
