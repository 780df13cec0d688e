import { beforeEach, describe, expect, it } from "vitest";
import type { Logger } from "./logger.ts";
import { createTroubleLog, type TroubleLog } from "./trouble-log.ts";

describe("Trouble that goes on", () => {
  let nowMs: number;
  let lines: string[];
  let trouble: TroubleLog;
  beforeEach(() => {
    nowMs = 0;
    lines = [];
    const write =
      (level: string): Logger["warn"] =>
      (facts, message) =>
        lines.push(`${level} ${message} ${JSON.stringify(facts)}`);
    const logger = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
    trouble = createTroubleLog(logger, { now: () => nowMs });
  });

  const warnings = () => lines.filter((line) => line.startsWith("warn"));

  it("is told at once", () => {
    trouble.failed({ attempt: 1 }, "away");

    expect(lines).toEqual(['warn away {"attempt":1}']);
  });

  it("is told once in 30 seconds, however often it is tried, with the number of failures in between", () => {
    for (nowMs = 0; nowMs < 60_000; nowMs += 100) trouble.failed({}, "away");

    expect(warnings()).toEqual(["warn away {}", 'warn away {"untold":299}']);
    expect(lines).toHaveLength(600);
  });

  it("is told once in 30 seconds, however often it comes and goes", () => {
    for (nowMs = 0; nowMs < 30_000; nowMs += 100) {
      trouble.failed({}, "away");
      trouble.works({}, "back");
    }

    expect(lines.filter((line) => !line.startsWith("debug"))).toEqual(["warn away {}", "info back {}"]);
  });

  it("is said to be over when people were told of it", () => {
    trouble.works({}, "there");
    trouble.failed({}, "away");
    nowMs = 1_000;
    trouble.failed({}, "away");
    trouble.works({}, "back");

    expect(lines).toEqual(["info there {}", "warn away {}", "debug away {}", "info back {}"]);
  });
});
