import { DEFAULT_NOTIFY_CHANNEL } from "@pup/core";
import { describe, expect, it } from "vitest";
import { type PgStoreOptions, resolvePgStoreOptions } from "./options.ts";

const resolve = (options: Partial<PgStoreOptions> = {}) =>
  resolvePgStoreOptions({ connection: "postgres://db", ...options });

describe("resolvePgStoreOptions", () => {
  it("fills in what was left out, an explicit undefined included", () => {
    expect(resolve({ max: undefined, notify: undefined, applicationName: undefined })).toMatchObject({
      maxTransactions: 5,
      maxStatements: 5,
      notify: undefined,
      applicationName: "pup",
      election: "auto",
      leaseDurationMs: 10_000,
      statementTimeoutMs: 30_000,
    });
  });

  it.each([
    [{ max: 2 }, { maxTransactions: 1, maxStatements: 1 }],
    [{ max: 5 }, { maxTransactions: 2, maxStatements: 3 }],
    [
      { max: 20, maxTransactions: 15 },
      { maxTransactions: 15, maxStatements: 5 },
    ],
  ])("never opens more connections than it may: %j", (options, split) => {
    expect(resolve(options)).toMatchObject(split);
  });

  it("notifies on the dispatcher's channel unless told otherwise", () => {
    expect(resolve({ notify: {} }).notify).toEqual({ channel: DEFAULT_NOTIFY_CHANNEL, minIntervalMs: 5 });
    expect(resolve({ notify: { channel: "My Channel", minIntervalMs: 20 } }).notify).toEqual({
      channel: "My Channel",
      minIntervalMs: 20,
    });
  });

  it("puts pup's name in front of the application's", () => {
    expect(resolve({ applicationName: "billing" }).applicationName).toBe("pup billing");
  });

  it.each<[string, Partial<PgStoreOptions>, string]>([
    ["a pool of one", { max: 1 }, "`max`"],
    ["half a connection", { max: 2.5 }, "`max`"],
    ["transactions that leave no connection for statements", { max: 5, maxTransactions: 5 }, "`maxTransactions`"],
    ["no transactions", { maxTransactions: 0 }, "`maxTransactions`"],
    ["an empty application name", { applicationName: "" }, "`applicationName`"],
    ["an application name that the server would cut", { applicationName: "x".repeat(60) }, "`applicationName`"],
    [
      "an election that does not exist",
      { election: "raft" as never },
      '`election` to be "advisory", "lease" or "auto", got "raft"',
    ],
    ["a lease that is over before the next ticks", { leaseDurationMs: 1_999 }, "`leaseDurationMs`"],
    ["no time for statements", { statementTimeoutMs: 0 }, "`statementTimeoutMs`"],
    ["no interval between notifications", { notify: { minIntervalMs: 0 } }, "`notify.minIntervalMs`"],
    ["nothing to connect to", { connection: undefined as never }, "`connection`"],
    ["a number to connect to", { connection: 5432 as never }, "`connection`"],
  ])("refuses %s, and names the option", (_, options, name) => {
    expect(() => resolve(options)).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_OPTION", message: expect.stringContaining(name) }),
    );
  });

  it.each<[string, Partial<PgStoreOptions>]>([
    ["schema", { schema: "x".repeat(64) }],
    ["table", { tables: { events: "" } }],
    ["channel", { notify: { channel: "a\0b" } }],
  ])("refuses a %s whose name PostgreSQL cannot keep", (_, options) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: "PUP_INVALID_IDENTIFIER" }));
  });
});
