import { beforeEach, describe, expect, it } from "vitest";
import type { Logger } from "./logger.ts";
import { createOutageLog, type OutageLog } from "./outage-log.ts";

describe("An outage that goes on", () => {
  let nowMs: number;
  let lines: string[];
  let outages: OutageLog;
  beforeEach(() => {
    nowMs = 0;
    lines = [];
    const write =
      (level: string): Logger["warn"] =>
      (facts, message) =>
        lines.push(`${level} ${message} ${JSON.stringify(facts)}`);
    const logger = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
    outages = createOutageLog(logger, { now: () => nowMs });
  });

  const warnings = () => lines.filter((line) => line.startsWith("warn"));

  it("is told at once", () => {
    outages.failed({ attempt: 1 }, "away");

    expect(lines).toEqual(['warn away {"attempt":1}']);
  });

  it("is told once in 30 seconds, however often it is tried, with the number of failures in between", () => {
    for (nowMs = 0; nowMs < 60_000; nowMs += 100) outages.failed({}, "away");

    expect(warnings()).toEqual(["warn away {}", 'warn away {"untold":299}']);
    expect(lines).toHaveLength(600);
  });

  it("is told once in 30 seconds, however often it comes and goes", () => {
    for (nowMs = 0; nowMs < 30_000; nowMs += 100) {
      outages.failed({}, "away");
      outages.works({}, "back");
    }

    expect(lines.filter((line) => !line.startsWith("debug"))).toEqual(["warn away {}", "info back {}"]);
  });

  it("is said to be over when people were told of it", () => {
    outages.works({}, "there");
    outages.failed({}, "away");
    nowMs = 1_000;
    outages.failed({}, "away");
    outages.works({}, "back");

    expect(lines).toEqual(["info there {}", "warn away {}", "debug away {}", "info back {}"]);
  });
});
