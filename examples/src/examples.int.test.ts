import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";

let database: TestDatabase;
let program: ChildProcess | null = null;

beforeEach(async () => {
  database = await createDatabase(inject("postgresUrl"));
});

afterEach(async () => {
  program?.kill("SIGKILL");
  await database.drop();
});

/** Runs an example as a user would; SIGTERM follows once it has said `until`. Answers with what it said, and how it ended. */
async function run(file: string, until?: RegExp) {
  const started = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source", `${import.meta.dirname}/${file}`],
    {
      env: { ...process.env, DATABASE_URL: database.url },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  program = started;
  let output = "";
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (until?.test(output)) started.kill("SIGTERM");
    });
  }
  const [code] = await once(started, "close");
  return { code, output };
}

describe("The example", () => {
  it("quick-start.ts handles what it appended, and stops when told to", async () => {
    expect(await run("quick-start.ts", /cents\n/)).toEqual({
      code: 0,
      output: expect.stringMatching(/^order [-0-9a-f]{36} over 1200 cents\n$/),
    });
  });

  it("notify.ts is woken, and stops when told to", async () => {
    const { code, output } = await run("notify.ts", /(handled.*\n){3}/);
    expect(output).toMatch(/^(handled \d+ ms after its append\n){3,}$/);
    expect(code).toBe(0);
  });

  it("run-once.ts handles what there is, and ends by itself", async () => {
    expect(await run("run-once.ts")).toEqual({
      code: 0,
      output: "report: Turnover\nreports.v1: caught-up, 1 events\n",
    });
  });

  it("append-in-your-transaction.ts commits rows and events together, or neither", async () => {
    const pairs = [100, 200, 300].map((cents) => `an invoice over ${cents}, an event over ${cents}\n`);
    expect(await run("append-in-your-transaction.ts")).toEqual({
      code: 0,
      output: `changed my mind\n${pairs.join("")}`,
    });
  });

  it("handle-batch.ts handles many events at once", async () => {
    const { code, output } = await run("handle-batch.ts");
    expect(output).toContain("1000 views of 3 pages\n");
    expect(code).toBe(0);
  });
});
