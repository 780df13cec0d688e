import { describe, expect, inject, it } from "vitest";
import { blockWorker } from "./support/block-worker.ts";
import { openParts } from "./support/open-parts.ts";

/** Shortened. The real ones take two minutes: `npm run measure -- blocked`. */
const options = {
  heartbeatIntervalMs: 300,
  heartbeatTimeoutMs: 5_000,
  rebalanceIntervalMs: 1_000,
  assignmentPollMs: 200,
};
/** Far enough from the heartbeat timeout that a machine with much else to do decides nothing. */
const SHORT_MS = 1_500;
const LONG_MS = 8_000;

describe.concurrent(`A worker whose event loop is blocked, at ${JSON.stringify(options)}`, () => {
  it.each(["leader", "follower"] as const)(
    `keeps what it owns for ${SHORT_MS} ms, is replaced within ${LONG_MS} ms and rejoins, as %s`,
    { timeout: 120_000 },
    async (role) => {
      await using parts = await openParts(inject("postgresUrl"));

      const [short, long] = await blockWorker(parts, { role, blocksMs: [SHORT_MS, LONG_MS], options });

      expect(short).toMatchObject({ kept: true, rejoined: false });
      expect(long).toMatchObject({ kept: false, rejoined: true });
      for (const { lost, duplicates, outOfOrder } of [...(short?.trails ?? []), ...(long?.trails ?? [])]) {
        expect({ lost, duplicates, outOfOrder }).toEqual({ lost: 0, duplicates: 0, outOfOrder: 0 });
      }
    },
  );
});
