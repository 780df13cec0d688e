import { describe } from "vitest";
import { dispatcherContract } from "./contracts/index.ts";
import { createManualClock } from "./manual-clock.ts";
import { createMemoryStore } from "./memory/create-memory-store.ts";
import { createMemoryDispatcher } from "./memory-dispatcher.ts";
import { createSeededRandomness } from "./seeded-randomness.ts";

describe("In-memory dispatcher", () => {
  dispatcherContract(async () => {
    const clock = createManualClock();
    const random = createSeededRandomness(1);
    const store = createMemoryStore({ clock, random });
    return {
      dispatcher: createMemoryDispatcher(store),
      clock,
      random,
      latestPosition: () => store.latestPosition(),
      async commitEvent() {
        await store.append([{ aggregateType: "Order", aggregateId: "o-1", type: "OrderPlaced", payload: {} }]);
      },
      sendControl: async (signal) => store.sendControl(signal),
      cut: async () => store.setReachable(false),
      restore: async () => store.setReachable(true),
      elapse: (durationMs) => clock.advance(durationMs),
      dispose: async () => store.kill(),
    };
  });
});
