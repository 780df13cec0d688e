import type { OpenLive } from "../../systems/live-system.ts";
import { bossLive, emmettLive, graphileLive } from "../../systems/peers-live.ts";
import { rawLive } from "../../systems/raw/live.ts";

/** Those that handle what is appended while they run, beside pup. */
export function everybodyElse<Contestant>(contestant: (open: OpenLive) => Contestant) {
  return {
    raw: contestant(rawLive),
    Emmett: contestant(emmettLive),
    "graphile-worker": contestant(graphileLive),
    "pg-boss": contestant(bossLive),
  };
}
