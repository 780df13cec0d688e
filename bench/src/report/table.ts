import type { FigureLine } from "../measuring/figure.ts";
import { formatNumber, formatRatio } from "./numbers.ts";

const headings = ["", "pup", "raw", "best peer", "pup : raw", "pup : peer", "others", "goals"];
/** Columns of text; the others have numbers. */
const textColumns = new Set(["", "others", "goals"]);

/** One table of figures, in Markdown; padded, so that it reads well as plain text too. */
export function renderTable(lines: readonly FigureLine[]): string {
  const rows = lines.map((line) => [
    `${line.case}, ${line.unit}`,
    formatNumber(line.pup),
    line.raw === null ? "" : formatNumber(line.raw),
    line.peerName === null ? "" : `${formatNumber(line.peer)} (${line.peerName})`,
    line.raw === null ? "" : formatRatio(line.ratioToRaw),
    line.peer === null ? "" : formatRatio(line.ratioToPeer),
    Object.entries(line.others)
      .map(([name, value]) => `${name}: ${formatNumber(value)}`)
      .join("; "),
    line.goals
      .map(
        ({ goal, actual, reached }) => `${reached ? "✓" : "✗"} ${goal}${reached ? "" : ` (${formatNumber(actual)})`}`,
      )
      .join("; "),
  ]);
  const widths = headings.map((heading, column) =>
    Math.max(3, heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isText = (column: number) => textColumns.has(headings[column] ?? "");
  const render = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) => (isText(column) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [render(headings), `| ${rule.join(" | ")} |`, ...rows.map(render)].join("\n");
}
