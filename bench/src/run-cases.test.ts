import { describe, expect, it } from "vitest";
import type { BenchCase } from "./bench-case.ts";
import { type BenchReporter, runCases } from "./run-cases.ts";
import type { BenchServer } from "./server.ts";

/** A server without databases, a diary of what is told, and a case that measures one number. */
function openStage() {
  const diary: string[] = [];
  const server: BenchServer = {
    version: "18.0",
    database: async () => "postgres://nowhere",
    log: async () => "postgres://nowhere",
    filledLog: async () => "postgres://nowhere",
    dropDatabases: async () => {
      diary.push("drop");
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const reporter: BenchReporter = {
    caseStarted: ({ name }) => diary.push(`start ${name}`),
    reading: () => undefined,
    figure: (figure) => diary.push(`${figure.case}: ${figure.values.pup}`),
    caseFailed: ({ name }, error) => diary.push(`${name} failed: ${(error as Error).message}`),
  };
  const measuring = (name: string, value: number): BenchCase => ({
    name,
    about: "",
    run: ({ compare }) =>
      compare({
        title: "",
        contestants: { pup: async () => ({ measure: async () => ({ speed: value }), close: async () => undefined }) },
        metrics: { speed: { unit: "km/h", better: "more" } },
      }),
  });
  const failing = (name: string, message: string): BenchCase => ({
    name,
    about: "",
    run: () => Promise.reject(new Error(message)),
  });
  const options = { server, reporter, size: "quick", rounds: 1, huge: false } as const;
  return { diary, options, measuring, failing };
}

describe("runCases", () => {
  it("goes on behind a case that fails, says so, and clears up behind each", async () => {
    const { diary, options, measuring, failing } = openStage();
    const cases = [measuring("first", 1), failing("second", "an event is missing"), measuring("third", 3)];

    expect(await runCases(cases, { ...options, signal: new AbortController().signal })).toBe(false);

    const second = ["start second", "second failed: an event is missing", "drop"];
    expect(diary).toEqual(["start first", "first: 1", "drop", ...second, "start third", "third: 3", "drop"]);
  });

  it("is content when all could be measured", async () => {
    const { options, measuring } = openStage();
    expect(await runCases([measuring("only", 1)], { ...options, signal: new AbortController().signal })).toBe(true);
  });

  it("clears up and begins nothing more when it is told to end", async () => {
    const { diary, options, measuring, failing } = openStage();
    const stopping = new AbortController();
    const ending: BenchCase = {
      ...failing("first", "cut off"),
      run: () => {
        stopping.abort(new Error("enough"));
        return Promise.reject(new Error("cut off"));
      },
    };

    const running = runCases([ending, measuring("second", 2)], { ...options, signal: stopping.signal });

    await expect(running).rejects.toThrow("enough");
    expect(diary).toEqual(["start first", "drop"]);
  });
});
