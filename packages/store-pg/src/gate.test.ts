import { describe, expect, it } from "vitest";
import { createGate } from "./gate.ts";

describe("createGate", () => {
  it("waits for the calls under way, whatever becomes of them, and lets no other in", async () => {
    const gate = createGate();
    const good = Promise.withResolvers<string>();
    const bad = Promise.withResolvers<string>();
    const calls = [gate.pass(() => good.promise), gate.pass(() => bad.promise)];
    const outcomes = Promise.allSettled(calls);

    const closing = gate.close(60_000);
    await expect(gate.pass(async () => "late")).rejects.toMatchObject({ code: "PUP_INVALID_STATE" });
    good.resolve("done");
    bad.reject(new Error("failed"));

    expect(await closing).toBe(true);
    expect(await outcomes).toMatchObject([{ value: "done" }, { reason: { message: "failed" } }]);
  });

  it("does not wait for ever", async () => {
    const gate = createGate();
    void gate.pass(() => new Promise(() => undefined));

    expect(await gate.close(10)).toBe(false);
  });
});
