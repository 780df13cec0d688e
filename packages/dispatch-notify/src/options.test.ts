import { describe, expect, it } from "vitest";
import { createNotifyDispatcher } from "./notify-dispatcher.ts";
import type { NotifyDispatcherOptions } from "./options.ts";

describe("createNotifyDispatcher", () => {
  const create = (options: Partial<Record<keyof NotifyDispatcherOptions, unknown>>) =>
    createNotifyDispatcher({ connection: "postgres://localhost/db", ...options } as NotifyDispatcherOptions);
  const refusal = (message: RegExp) =>
    expect.objectContaining({ code: "PUP_INVALID_OPTION", message: expect.stringMatching(message) });

  it("opens nothing until it is started", () => {
    expect(create({}).health()).toMatchObject({ healthy: false, problem: "It has not been started." });
  });

  it("takes undefined for the default", () => {
    create({ channel: undefined, reconcileIntervalMs: undefined, notifyHeartbeatMs: undefined });
  });

  it.each(["", "x".repeat(64), "ä".repeat(32), "a\0b", 7, null])("refuses the channel %j", (channel) => {
    expect(() => create({ channel })).toThrow(refusal(/^Expected `channel` to be a text of 1 to 63 bytes/));
  });

  it.each(["reconcileIntervalMs", "notifyHeartbeatMs"])("refuses a bad %s", (name) => {
    for (const value of [0, -1, 1.5, Number.NaN, 2 ** 31, "1000"]) {
      expect(() => create({ [name]: value })).toThrow(
        refusal(new RegExp(`^Expected \`${name}\` to be a whole number`)),
      );
    }
  });

  it.each([undefined, null, 5])("refuses the connection %j", (connection) => {
    expect(() => create({ connection })).toThrow(
      refusal(/^Expected `connection` to be a connection string or options/),
    );
  });

  it.each(["postgres://user:s3cr#t/x@:bad", "not a url: s3cr#t", { url: "postgres://user:s3cr#t@host:notaport/db" }])(
    "refuses a connection string that nobody can read, without repeating it: %j",
    (connection) => {
      let error: unknown;
      try {
        create({ connection });
      } catch (thrown) {
        error = thrown;
      }

      expect(error).toEqual(refusal(/^Expected `connection` to be a PostgreSQL connection string/));
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("s3cr");
      expect((error as Error).cause).toBeUndefined();
    },
  );

  it.each([
    "postgres://user:secret@localhost:5432/db",
    "postgres://user@one:5432,two:5433/db?target_session_attrs=primary",
    { host: "/var/run/postgresql", database: "db" },
    { url: "postgres://localhost/db", password: async () => "secret", ssl: "require" },
  ])("takes the connection %j", (connection) => {
    create({ connection });
  });
});
