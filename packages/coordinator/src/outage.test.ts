import { type Logger, sleep } from "@pup/core";
import { describe, expect, it } from "vitest";
import { createFleet, handledBy, orderPlaced, recorder } from "../test/fleet.ts";

type Level = keyof Logger;

function recordingLogger() {
  const lines: { readonly level: Level; readonly message: string }[] = [];
  const at = (level: Level) => (_: object, message: string) => void lines.push({ level, message });
  const logger: Logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return { logger, lines, of: (level: Level) => lines.filter((line) => line.level === level) };
}

describe("A database that goes away for two minutes, under a worker with twenty busy consumers", () => {
  it("costs a few warnings, not some for each consumer, and its return is told", async () => {
    const fleet = createFleet();
    const { logger, lines, of } = recordingLogger();
    const names = Array.from({ length: 20 }, (_, index) => `consumer-${index}`);
    const busy = names.map((name) =>
      recorder(name, {
        handle: async (event, { tx }) => {
          await sleep(fleet.clock, 50);
          await tx.table<string[]>("handled").update(name, (handled = []) => [...handled, event.aggregateId]);
        },
      }),
    );
    const worker = fleet.start(busy, { logger });
    await fleet.clock.advance(2_000);
    for (let index = 0; index < 100; index++) await fleet.store.append([orderPlaced(`o-${index}`)]);
    await fleet.clock.advance(500);
    lines.length = 0;

    fleet.store.setReachable(false);
    await fleet.clock.advance(120_000);
    // Each kind of trouble once in thirty seconds: batches, the log, the line to the others, the dispatcher.
    expect(of("warn").length).toBeGreaterThan(2);
    expect(of("warn").length).toBeLessThanOrEqual(4 * 5);
    expect(of("error")).toEqual([]);
    lines.length = 0;
    fleet.store.setReachable(true);
    await fleet.clock.advance(60_000);

    const told = of("info").map(({ message }) => message);
    for (const message of ["batches commit again", "the line to the other workers stands again"]) {
      expect(told.filter((each) => each === message)).toHaveLength(1);
    }
    for (const name of names) expect(handledBy(fleet.store, name)).toHaveLength(100);
    await fleet.stop(worker);
  });
});
