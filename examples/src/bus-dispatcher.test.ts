// Proves the dispatcher with the suite that every dispatcher of pup passes.
import { createManualClock, createSeededRandomness } from "@pup/testing";
import { dispatcherContract } from "@pup/testing/contracts";
import { describe } from "vitest";
import { type Bus, createBusDispatcher } from "./bus-dispatcher.ts";

/** A bus in memory that can be taken away. */
function createTestBus() {
  const subscribers = new Map<() => void, (error: Error) => void>();
  let isAway = false;
  const bus: Bus = {
    async subscribe(_, onMessage, onLost) {
      if (isAway) throw new Error("Connection refused.");
      subscribers.set(onMessage, onLost);
      return async () => {
        subscribers.delete(onMessage);
      };
    },
  };
  return {
    bus,
    publish() {
      for (const onMessage of subscribers.keys()) onMessage();
    },
    setAway(away: boolean) {
      isAway = away;
      if (!away) return;
      for (const onLost of subscribers.values()) onLost(new Error("Connection reset."));
      subscribers.clear();
    },
    count: () => subscribers.size,
  };
}

describe("The bus dispatcher", () => {
  dispatcherContract(async () => {
    const clock = createManualClock();
    const { bus, publish, setAway, count } = createTestBus();
    return {
      dispatcher: createBusDispatcher(bus, "orders"),
      clock,
      random: createSeededRandomness(1),
      latestPosition: async () => 0n,
      commitEvent: async () => publish(),
      cut: async () => setAway(true),
      restore: async () => setAway(false),
      elapse: (durationMs) => clock.advance(durationMs),
      countOpen: async () => count(),
      dispose: async () => undefined,
    };
  });
});
