import { randomFillSync } from "node:crypto";
import { uuidV7 } from "@pup/core";

const BYTES_PER_ID = 10;

// Fetched for many ids at once: one call to the system costs more than all the rest of making an id.
const pool = new Uint8Array(400 * BYTES_PER_ID);
let used = pool.length;

/** Makes a UUIDv7 of the present time. */
export function newEventId(wallClockMs = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += BYTES_PER_ID;
  return uuidV7({ wallClockMs, randomBytes: pool.subarray(used - BYTES_PER_ID, used) });
}
