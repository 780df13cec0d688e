import type { ServerSpec } from "./local-server.ts";
import type { PostgresServer } from "./start-postgres.ts";

const newestMajor = 18;

/** Starts a server in Docker. */
export async function startContainer({ version, port, settings }: ServerSpec): Promise<PostgresServer> {
  const { PostgreSqlContainer } = await importTestcontainers();
  let log = "";
  const image = new PostgreSqlContainer(`postgres:${version ?? newestMajor}-alpine`);
  image.withDatabase("postgres").withUsername("postgres");
  image.withCommand(["postgres", ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])]);
  image.withLogConsumer((stream) => {
    stream.on("data", (chunk) => {
      log += chunk;
    });
  });
  if (port !== undefined) image.withExposedPorts({ container: 5432, host: port });
  const container = await image.start();

  const refuse = async () => {
    throw new Error("A server in Docker is not stopped and started again: its port would change. Use `binaries`.");
  };
  let closed: Promise<unknown> | undefined;
  const close = async () => {
    closed ??= container.stop();
    await closed;
  };
  return {
    url: container.getConnectionUri(),
    restartable: false,
    pid: undefined,
    log: () => log,
    stop: refuse,
    start: refuse,
    restart: refuse,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function importTestcontainers() {
  try {
    return await import("@testcontainers/postgresql");
  } catch (error) {
    throw new Error('Install "@testcontainers/postgresql" to start PostgreSQL in Docker.', { cause: error });
  }
}
