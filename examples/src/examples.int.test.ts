import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createDatabase, type TestDatabase } from "@pup/testing/postgres";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";

let database: TestDatabase;
let program: ChildProcess | null = null;

beforeEach(async () => {
  database = await createDatabase(inject("postgresUrl"));
});

afterEach(async () => {
  program?.kill("SIGKILL");
  await database.drop();
});

/** What else {@link run} can be told. */
interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What a user does once it has said `until`, before it is told to stop. Gets what it has said. */
  readonly use?: (output: string) => Promise<void>;
}

/** Runs an example as a user would; SIGTERM follows once it has said `until`. Answers with what it said, and how it ended. */
async function run(file: string, until?: RegExp, { args = [], env = {}, use }: RunOptions = {}) {
  const started = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--conditions=@pup/source", `${import.meta.dirname}/${file}`, ...args],
    {
      env: { ...process.env, DATABASE_URL: database.url, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  program = started;
  let output = "";
  let used: Promise<void> | null = null;
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (until?.test(output)) used ??= Promise.resolve(use?.(output)).finally(() => started.kill("SIGTERM"));
    });
  }
  const [code] = await once(started, "close");
  await used;
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

  it("fastify-app.ts reads its own writes at once, refuses what the stream forbids, and shows everybody's soon after", async () => {
    const use = async (output: string) => {
      const [origin] = /http:\S+/.exec(output) ?? [];
      const move = (cents: number) =>
        fetch(`${origin}/accounts/a-1/movements`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ cents }),
        });
      const read = async (path: string) => (await fetch(`${origin}${path}`)).json();

      expect((await move(500)).status).toBe(201);
      expect(await read("/accounts/a-1")).toEqual({ cents: 500, version: 1 });
      expect((await move(-501)).status).toBe(409);
      await vi.waitFor(async () => expect(await read("/accounts")).toEqual([{ account: "a-1", cents: 500 }]), {
        timeout: 10_000,
      });
    };
    const { code, output } = await run("fastify-app.ts", /listening on .*\n/, { env: { PORT: "0" }, use });
    expect(output).toMatch(/^listening on \S+\n$/);
    expect(code).toBe(0);
  });

  it("kysely-app.ts keeps a typed read model", async () => {
    expect(await run("kysely-app.ts")).toEqual({ code: 0, output: "lamp: 7 pieces\n" });
  });

  it("production.ts answers probes, logs as JSON, and ends in good order", async () => {
    expect(await run("migrate.ts")).toEqual({ code: 0, output: "" });
    const port = await freePort();
    const use = async () => {
      for (const path of ["/healthz", "/readyz"]) {
        await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(200), {
          timeout: 10_000,
        });
      }
    };
    const env = { HEALTH_PORT: String(port), POOL_SIZE: "4" };
    const { code, output } = await run("production.ts", /worker started/, { env, use });
    const messages = output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    expect(messages).toContain("worker started");
    expect(messages.at(-1)).toBe("worker stopped");
    expect(code).toBe(0);
  });

  it("example.ts runs another one by its name, and says which there are", async () => {
    expect(await run("example.ts", undefined, { args: ["kysely-app"] })).toMatchObject({
      code: 0,
      output: expect.stringContaining("lamp: 7 pieces\n"),
    });
    expect(await run("example.ts", undefined, { args: ["nothing"] })).toEqual({
      code: 2,
      output: expect.stringMatching(/^Expected the name of an example, got "nothing": quick-start, /),
    });
  });

  it("production.ts says why it cannot run, and fails", async () => {
    const { code, output } = await run("production.ts", undefined, { env: { HEALTH_PORT: String(await freePort()) } });
    expect(output).toContain("PUP_SCHEMA_MISSING");
    expect(code).toBe(1);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
