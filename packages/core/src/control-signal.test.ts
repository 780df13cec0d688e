import { describe, expect, it } from "vitest";
import { controlSignals, EVENTS_SIGNAL, parseControlSignal } from "./control-signal.ts";

describe("parseControlSignal", () => {
  it.each(controlSignals)("knows %s", (signal) => {
    expect(parseControlSignal(signal)).toBe(signal);
  });

  it.each([EVENTS_SIGNAL, "", "Worker-Joined", "worker-joined ", "worker-joined:1", "42"])(
    "takes %j for none",
    (payload) => {
      expect(parseControlSignal(payload)).toBeNull();
    },
  );
});
