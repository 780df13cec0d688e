/** Wall-clock time and random bytes, for ids that sort by time. */
export interface EventIdSource {
  /** Milliseconds since 1970. */
  readonly wallClockMs: number;
  /** Ten random bytes. */
  readonly randomBytes: Uint8Array;
}

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Makes a UUIDv7: ids made later sort later, so that indexes grow at one end. */
export function uuidV7({ wallClockMs, randomBytes }: EventIdSource): string {
  const time = Math.floor(wallClockMs).toString(16).padStart(12, "0");
  let random = "";
  for (const byte of randomBytes) random += hex[byte];
  const variant = hex[(Number.parseInt(random.slice(3, 4), 16) & 0x3) | 0x8]?.slice(1);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}
