import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dispatcher, silentLogger, systemClock, systemRandomness } from "@pup/core";
import { recordEvents } from "@pup/testing";
import { type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createNotifyDispatcher } from "./notify-dispatcher.ts";
import type { ConnectionOptions } from "./server.ts";

/** These tests restart a server and ask for passwords: they need one of their own. */
describe.skipIf(process.env.PUP_TEST_DATABASE_URL)("createNotifyDispatcher, on a server of its own", () => {
  let server: PostgresServer;
  let folder: string;
  const opened: Dispatcher[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pup-hba-"));
    const rules = join(folder, "pg_hba.conf");
    await writeFile(
      rules,
      ["host all pup_test_login 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust"].join("\n"),
    );
    await chmod(folder, 0o755);
    await chmod(rules, 0o644);
    server = await startPostgres({ settings: { hba_file: rules } });
    await onServer((sql) => sql.unsafe("create role pup_test_login login password 'right-secret'"));
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const dispatcher of opened.splice(0)) await dispatcher.stop();
  });

  const onServer = async (act: (sql: postgres.Sql) => Promise<unknown>) => {
    const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
    try {
      await act(sql);
    } finally {
      await sql.end();
    }
  };

  const listen = (connection: ConnectionOptions) => {
    const dispatcher = createNotifyDispatcher({ connection, reconcileIntervalMs: 600_000 });
    opened.push(dispatcher);
    const bell = new EventTarget();
    const logged: unknown[] = [];
    const log = (facts: object, message: string) => logged.push({ ...facts, message });
    const started = dispatcher.start({
      wake: () => bell.dispatchEvent(new Event("wake")),
      control: () => undefined,
      latestPosition: async () => 0n,
      clock: systemClock,
      random: systemRandomness,
      logger: { ...silentLogger, info: log, warn: log, error: log },
    });
    started.catch(() => undefined);
    const woken = () => new Promise<void>((resolve) => bell.addEventListener("wake", () => resolve(), { once: true }));
    return { dispatcher, started, woken, logged, recorded: recordEvents(dispatcher.events) };
  };

  it.each(["fast", "immediate"] as const)("listens again after a restart: %s", async (mode) => {
    if (!server.restartable) return;
    const { started, recorded, woken, dispatcher } = listen(server.url);
    await started;
    const lost = recorded.next("dispatcher:disconnected");
    await server.stop(mode);
    await lost;
    expect(dispatcher.health().healthy).toBe(false);

    const again = recorded.next("dispatcher:connected");
    await server.start();
    await again;

    const heard = woken();
    await onServer((sql) => sql.notify("pup_events", "events"));
    await heard;
  });

  it("starts when the server does", async () => {
    if (!server.restartable) return;
    await server.stop();
    const { started, recorded } = listen(server.url);
    await recorded.first("dispatcher:disconnected");

    await server.start();

    await started;
  });

  it("gets in with the right password", async () => {
    await listen(withLogin(server.url, "right-secret")).started;
  });

  it("gives up on a wrong password, says so, and keeps it to itself", async () => {
    const { started, recorded, logged } = listen(withLogin(server.url, "wrong-secret"));

    const error = await started.catch((reason: unknown) => reason);

    expect(error).toMatchObject({
      code: "PUP_INVALID_OPTION",
      message: expect.stringContaining('password authentication failed for user "pup_test_login"'),
    });
    for (const told of [error, (error as Error).cause, logged, recorded.all]) {
      expect(JSON.stringify(told) + String((told as Error).stack)).not.toContain("wrong-secret");
    }
  });

  it("goes on trying when a password stops being right while it runs", async () => {
    let password = "right-secret";
    const url = new URL(server.url);
    const connection = {
      host: url.hostname,
      port: Number(url.port),
      database: "postgres",
      user: "pup_test_login",
      password: () => password,
    };
    const { started, recorded } = listen(connection);
    await started;
    password = "rotated-secret";
    const refused = recorded.next("dispatcher:disconnected", ({ error }) =>
      String(error).includes("password authentication"),
    );
    await onServer(
      (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'pup_test_login'`,
    );
    await refused;

    const again = recorded.next("dispatcher:connected");
    await onServer((sql) => sql.unsafe("alter role pup_test_login password 'rotated-secret'"));
    await again;
  });
});

function withLogin(serverUrl: string, password: string): string {
  const url = new URL(serverUrl);
  url.username = "pup_test_login";
  url.password = password;
  return url.href;
}
