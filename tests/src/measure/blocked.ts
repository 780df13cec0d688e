// What a blocked event loop costs at default options: `node --conditions=@pup/source tests/src/measure/blocked.ts [--json]`.
// Twenty seconds must cost no ownership; after sixty others have taken over, and the worker rejoins. Takes two minutes.
import { parseArgs } from "node:util";
import { startPostgres } from "@pup/testing/postgres";
import { type BlockReport, blockWorker } from "../support/block-worker.ts";
import { openParts } from "../support/open-parts.ts";

/** What came of it. */
export interface BlockedReport {
  readonly measure: "blocked";
  readonly blocks: readonly (BlockReport & { readonly ok: boolean })[];
  readonly ok: boolean;
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
  return { measure: "blocked", blocks, ok: blocks.every(({ ok }) => ok) };
}

function isAsPromised({ blockedMs, kept, rejoined, trails }: BlockReport): boolean {
  const isWhole = trails.every(({ lost, duplicates, outOfOrder }) => lost + duplicates + outOfOrder === 0);
  return isWhole && (blockedMs < LOSES_MS ? kept && !rejoined : !kept && rejoined);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { json: { type: "boolean" } } });
  const report = await measureBlocked();
  console.log(JSON.stringify(report, null, values.json ? undefined : 2));
  process.exitCode = report.ok ? 0 : 1;
}
