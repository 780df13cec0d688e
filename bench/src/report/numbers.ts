/** A number as people read it: as many digits as a measurement is worth. A dash where nothing was measured. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en", { maximumSignificantDigits: value >= 1_000 ? 4 : 3 });
}

/** How many times as much: `"0.98 ×"`. */
export function formatRatio(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : `${formatNumber(value)} ×`;
}
