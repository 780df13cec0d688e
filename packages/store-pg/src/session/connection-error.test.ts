import { describe, expect, it } from "vitest";
import { isConnectionError, isServerError } from "./connection-error.ts";

const error = (facts: object) => Object.assign(new Error("x"), facts);

describe("isConnectionError", () => {
  it.each([
    { code: "CONNECTION_CLOSED" },
    { code: "CONNECTION_DESTROYED" },
    { code: "CONNECTION_ENDED" },
    { code: "CONNECT_TIMEOUT" },
    { code: "ECONNRESET" },
    { code: "EPIPE" },
    { code: "ENOTFOUND" },
    { code: "ERR_STREAM_DESTROYED" },
    { code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    { code: "57P01", severity: "FATAL" },
    { code: "28P01", severity: "FATAL" },
    { code: "XX000", severity: "PANIC" },
  ])("is true for what ends a session: %o", (facts) => {
    expect(isConnectionError(error(facts))).toBe(true);
  });

  it.each([
    error({ code: "23505", severity: "ERROR" }),
    error({ code: "57014", severity: "ERROR" }),
    error({ code: "UNDEFINED_VALUE" }),
    error({}),
    "a text",
    null,
    undefined,
  ])("is false for others: %o", (other) => {
    expect(isConnectionError(other)).toBe(false);
  });
});

describe("isServerError", () => {
  it("tells what the server said from what happened here", () => {
    expect(isServerError(error({ code: "23505", severity: "ERROR" }))).toBe(true);
    expect(isServerError(error({ code: "UNDEFINED_VALUE" }))).toBe(false);
  });
});
