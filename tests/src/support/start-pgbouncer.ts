import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A PgBouncer in transaction mode in front of one database. */
export interface PgBouncer extends AsyncDisposable {
  /** Connection string that leads through it. */
  readonly url: string;
}

/** Where the program is; undefined where it is not installed. */
export function findPgBouncer(): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, "pgbouncer")).find((path) => existsSync(path));
}

/** True for releases that can keep statements prepared (`max_prepared_statements`), which came with 1.21. */
export function keepsStatementsPrepared(program: string): boolean {
  const [, major = 0, minor = 0] =
    /(\d+)\.(\d+)/.exec(execFileSync(program, ["--version"], { encoding: "utf8" })) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 21);
}

/** Starts it, listening on the loopback interface only. */
export async function startPgBouncer(
  program: string,
  databaseUrl: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const server = new URL(databaseUrl);
  const port = await findFreePort();
  const user = decodeURIComponent(server.username);
  const folder = mkdtempSync(join(tmpdir(), "pup-pgbouncer-"));
  chmodSync(folder, 0o755);
  const password = server.password === "" ? "" : ` password='${decodeURIComponent(server.password)}'`;
  // Only users whose names it knows may change its settings.
  writeFileSync(join(folder, "users.txt"), `"${user}" "${decodeURIComponent(server.password)}"\n`, { mode: 0o644 });
  const all = {
    admin_users: user,
    auth_file: join(folder, "users.txt"),
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "trust",
    pool_mode: "transaction",
    ignore_startup_parameters: "extra_float_digits",
    ...settings,
  };
  writeFileSync(
    join(folder, "pgbouncer.ini"),
    [
      "[databases]",
      `* = host=${server.hostname} port=${server.port} user='${user}'${password}`,
      "[pgbouncer]",
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    ].join("\n"),
    { mode: 0o644 },
  );

  // It refuses root, as PostgreSQL does.
  const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const child = spawn(program, ["-q", join(folder, "pgbouncer.ini")], {
    stdio: ["ignore", "ignore", "pipe"],
    ...account,
  });
  let log = "";
  child.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const exited = once(child, "exit");
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended at its start:\n${log}`);
    await sleep(20);
  }

  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
