import type { FigureLine } from "../measuring/figure.ts";
import { formatNumber } from "./numbers.ts";

const WIDTH = 980;
const LABELS = 370;
const VALUES = 210;
const ROW = 34;
const TOP = 64;
/** What goes beyond is cut off, so that the rest can be told apart; its number stands beside it. */
const MOST = 2.5;

const colours = { pup: "#1f6feb", peer: "#9a6700", rule: "#57606a", grid: "#d0d7de", text: "#1f2328" } as const;

/**
 * Draws how much pup gets done, and the best peer, of what is done by hand: an SVG picture with one pair of bars for each figure of
 * events per second.
 */
export function renderChart(lines: readonly FigureLine[]): string {
  const rows = lines.filter(({ unit, raw, pup }) => unit === "events/s" && raw !== null && pup !== null);
  const height = TOP + rows.length * ROW + 24;
  const scale = (WIDTH - LABELS - VALUES) / MOST;
  const bars = rows.map((line, index) => renderRow(line, TOP + index * ROW, scale));
  const grid = [0.5, 1, 1.5, 2, 2.5].map((share) => {
    const x = LABELS + share * scale;
    const colour = share === 1 ? colours.rule : colours.grid;
    const label = `<text x="${x}" y="${TOP - 10}" text-anchor="middle" fill="${colours.rule}">${share === 1 ? "raw" : `${share} ×`}</text>`;
    return `${label}<line x1="${x}" x2="${x}" y1="${TOP - 4}" y2="${height - 20}" stroke="${colour}"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    `  font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Events per second, relative to the same work by hand">`,
    `<rect width="100%" height="100%" rx="8" fill="#ffffff"/>`,
    `<text x="16" y="26" font-size="15" font-weight="600" fill="${colours.text}">Events per second, relative to the same work by hand</text>`,
    legend(),
    ...grid,
    ...bars,
    "</svg>",
    "",
  ].join("\n");
}

function legend(): string {
  const entry = (x: number, colour: string, text: string) =>
    `<rect x="${x}" y="16" width="12" height="12" fill="${colour}"/><text x="${x + 18}" y="26" fill="${colours.text}">${text}</text>`;
  return entry(WIDTH - 250, colours.pup, "pup") + entry(WIDTH - 180, colours.peer, "best peer");
}

function renderRow(line: FigureLine, y: number, scale: number): string {
  const { pup, raw, peer, peerName, ratioToRaw } = line;
  const bar = (value: number, top: number, height: number, colour: string) => {
    const width = (Math.min(value, MOST) * scale).toFixed(1);
    return `<rect x="${LABELS}" y="${top}" width="${width}" height="${height}" fill="${colour}"/>`;
  };
  const share = ratioToRaw ?? 0;
  const said = `${formatNumber(pup)}/s${peer === null ? "" : `, ${peerName} ${formatNumber(peer)}/s`}`;
  const x = WIDTH - VALUES + 8;
  return [
    `<text x="16" y="${y + 15}" fill="${colours.text}">${escapeMarkup(line.case.replace(": throughput", ""))}</text>`,
    bar(share, y + 3, 11, colours.pup),
    peer !== null && raw ? bar(peer / raw, y + 16, 6, colours.peer) : "",
    `<text x="${x}" y="${y + 12}" font-weight="600" fill="${colours.text}">${share.toFixed(2)} × raw</text>`,
    `<text x="${x}" y="${y + 25}" font-size="10" fill="${colours.rule}">${escapeMarkup(said)}</text>`,
  ].join("");
}

function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
