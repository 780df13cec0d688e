import { createWorker } from "@pup/coordinator";
import { defineConsumer } from "@pup/core";
import { createNotifyDispatcher } from "@pup/dispatch-notify";
import { createPollDispatcher } from "@pup/dispatch-poll";
import { createPgStore, migrate, type PgStoreOptions } from "@pup/store-pg";
import { createMemoryStore, recordEvents } from "@pup/testing";
import { findBinaries, type PostgresServer, startPostgres } from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Authority, type CertificateFiles, createAuthority, writeCertificate } from "./support/certificates.ts";

// A server of somebody else's has a certificate of its own, or none.
describe.skipIf((await findBinaries()).length === 0)("Over TLS", () => {
  let authority: Authority;
  let stranger: Authority;
  let files: CertificateFiles;
  let server: PostgresServer;
  let admin: Sql;
  let port: number;

  beforeAll(async () => {
    [authority, stranger] = await Promise.all([createAuthority("ours"), createAuthority("stranger")]);
    files = writeCertificate(await authority.certify({ type: 2, value: "localhost" }));
    server = await startPostgres({ source: "binaries", settings: { ...files.settings } });
    admin = postgres(server.url, { max: 1, fetch_types: false });
    port = Number(new URL(server.url).port);
    await migrate({ connection: connectionTo("localhost", { ca: authority.ca }) });
  });
  afterAll(async () => {
    await admin.end();
    await server.close();
    files[Symbol.dispose]();
  });

  function connectionTo(host: string, ssl: { readonly ca: string }): Exclude<PgStoreOptions["connection"], string> {
    const { username, password } = new URL(server.url);
    return { host, port, username, password, database: "postgres", ssl };
  }

  /** What a worker and its dispatcher say when they are started with this connection. */
  async function startBoth(host: string, ca: string) {
    const connection = connectionTo(host, { ca });
    const store = createPgStore({ connection });
    const idle = defineConsumer({ name: "idle", handle: () => undefined });
    const worker = createWorker({ store, dispatcher: createPollDispatcher(), consumers: [idle] });
    const listening = createWorker({
      store: createMemoryStore(),
      dispatcher: createNotifyDispatcher({ connection: connection as object }),
      consumers: [idle],
    });
    const outcomes = [
      store.latestPosition().catch((error: unknown) => error),
      worker.start().catch((error: unknown) => error),
      listening.start().catch((error: unknown) => error),
    ] as const;
    const [single, worked, listened] = await Promise.all(outcomes);
    await store.close();
    return { single, worked, listened };
  }

  it("every session is encrypted: the pool's, the control session, and the one that listens", async () => {
    const connection = connectionTo("localhost", { ca: authority.ca });
    const store = createPgStore({ connection, notify: {} });
    const consumer = defineConsumer({ name: "orders", handle: () => undefined });
    const dispatcher = createNotifyDispatcher({ connection: connection as object });
    const worker = createWorker({ store, dispatcher, consumers: [consumer] });
    const recorded = recordEvents(worker.events);
    const running = worker.start();
    await recorded.first("consumer:acquired");
    await store.append([{ aggregateType: "Order", aggregateId: "1", type: "Placed", payload: {} }]);
    await recorded.first("batch:committed");

    const sessions = await admin<{ name: string; ssl: boolean }[]>`
      SELECT application_name AS name, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
      WHERE application_name LIKE 'pup%'`;
    await worker.stop();
    await running;
    await store.close();

    expect(new Set(sessions.map(({ name }) => name))).toEqual(new Set(["pup", "pup notify"]));
    // Pool for statements, pool for transactions, control session, listening session.
    expect(sessions.length).toBeGreaterThanOrEqual(4);
    expect(sessions.map(({ ssl }) => ssl)).not.toContain(false);
  });

  it("a certificate that nobody known vouches for is refused, in words", async () => {
    const { single, worked, listened } = await startBoth("localhost", stranger.ca);

    const reason = /certificate was not accepted.*(unable to verify|self-signed certificate|unable to get)/;
    expect(single).toMatchObject({ code: "PUP_CONNECTION_FAILED", message: expect.stringMatching(reason) });
    expect(worked).toMatchObject({ code: "PUP_CERTIFICATE_REFUSED", message: expect.stringMatching(reason) });
    expect(listened).toMatchObject({ code: "PUP_INVALID_OPTION", message: expect.stringMatching(reason) });
  });

  it("a certificate for another host is refused, in words, also where the host is an address", async () => {
    const { single, worked, listened } = await startBoth("127.0.0.1", authority.ca);

    const reason = /certificate was not accepted.*127\.0\.0\.1/;
    expect(single).toMatchObject({ code: "PUP_CONNECTION_FAILED", message: expect.stringMatching(reason) });
    expect(worked).toMatchObject({ code: "PUP_CERTIFICATE_REFUSED", message: expect.stringMatching(reason) });
    expect(listened).toMatchObject({ code: "PUP_INVALID_OPTION", message: expect.stringMatching(reason) });
  });

  it("a certificate for an address is accepted where that is the host", async () => {
    files.replace(await authority.certify({ type: 7, ip: "127.0.0.1" }));
    await admin`SELECT pg_reload_conf()`;
    const connection = connectionTo("127.0.0.1", { ca: authority.ca });
    const store = createPgStore({ connection });
    // The server takes the new certificate a moment after it was told to.
    await vi.waitFor(async () => expect(await store.latestPosition()).toBeTypeOf("bigint"), { timeout: 5_000 });

    const dispatcher = createNotifyDispatcher({ connection: connection as object });
    const recorded = recordEvents(dispatcher.events);
    const idle = defineConsumer({ name: "idle", handle: () => undefined });
    const listening = createWorker({ store: createMemoryStore(), dispatcher, consumers: [idle] });
    const running = listening.start();
    await recorded.first("dispatcher:connected");
    await listening.stop();
    await running;
    await store.close();
  });
});
