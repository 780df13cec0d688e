import { startPostgres } from "@pup/testing/postgres";
import { type BlockReport, blockWorker } from "../support/block-worker.ts";
import { openParts } from "../support/open-parts.ts";
import type { MeasureOutcome } from "./measures.ts";

/** What came of it. */
export interface BlockedReport extends MeasureOutcome {
  readonly command: "measure blocked";
  readonly blocks: readonly (BlockReport & { readonly ok: boolean })[];
}

const KEEPS_MS = 20_000;
const LOSES_MS = 60_000;

/** Blocks a leader and a follower, in a fleet each, for twenty seconds and then for sixty. */
export async function measureBlocked(): Promise<BlockedReport> {
  await using server = await startPostgres();
  const measure = async (role: BlockReport["role"]) => {
    await using parts = await openParts(server.url);
    return await blockWorker(parts, { role, blocksMs: [KEEPS_MS, LOSES_MS] });
  };
  const reports = await Promise.all([measure("leader"), measure("follower")]);
  const blocks = reports.flat().map((report) => ({ ...report, ok: isAsPromised(report) }));
  return { command: "measure blocked", blocks, verdict: blocks.every(({ ok }) => ok) ? "ok" : "failed" };
}

function isAsPromised({ blockedMs, kept, rejoined, trails }: BlockReport): boolean {
  const isWhole = trails.every(({ lost, duplicates, outOfOrder }) => lost + duplicates + outOfOrder === 0);
  return isWhole && (blockedMs < LOSES_MS ? kept && !rejoined : !kept && rejoined);
}
