import { describe, expect, it } from "vitest";
import { OverloadedError } from "../events/overloaded-error.ts";
import { CommitUnknownError, ConnectionFailedError, ConnectionLostError } from "../session/session-errors.ts";
import { isTransient } from "./is-transient.ts";

const serverError = (code: string) => Object.assign(new Error("said by the server"), { code, severity: "ERROR" });

describe("isTransient", () => {
  it.each([
    "25006",
    "40001",
    "40P01",
    "55P03",
    "57P01",
    "57P02",
    "57P03",
    "57P05",
    "25P03",
    "53100",
    "53300",
    "08006",
    "08P01",
  ])("is true for %s", (code) => {
    expect(isTransient(serverError(code))).toBe(true);
  });

  it.each(["23505", "42601", "42P01", "22P02", "57014", "25P02"])("is false for %s", (code) => {
    expect(isTransient(serverError(code))).toBe(false);
  });

  it.each([
    new ConnectionLostError(),
    new ConnectionFailedError({ cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) }),
    new CommitUnknownError(),
    new OverloadedError("too many wait"),
    Object.assign(new Error("write CONNECTION_CLOSED"), { code: "CONNECTION_CLOSED" }),
  ])("is true for a connection that was lost: %s", (error) => {
    expect(isTransient(error)).toBe(true);
  });

  it("sees what another error wraps, however deep", () => {
    const wrapped = new Error("while projecting", {
      cause: new Error("in the repository", { cause: serverError("40P01") }),
    });

    expect(isTransient(wrapped)).toBe(true);
    expect(isTransient(new Error("while projecting", { cause: serverError("23505") }))).toBe(false);
  });

  it("takes nobody else's codes for the server's, and does not run in circles", () => {
    const circle: Error & { cause?: unknown } = new Error("circle");
    circle.cause = circle;

    for (const error of [
      Object.assign(new Error("not the server"), { code: "40001" }),
      { code: 40001 },
      circle,
      null,
      undefined,
      "40001",
    ]) {
      expect(isTransient(error)).toBe(false);
    }
  });
});
