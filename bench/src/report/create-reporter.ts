import type { Figure, FigureLine } from "../measuring/figure.ts";
import { toLine } from "../measuring/figure.ts";
import type { BenchReporter } from "../run-cases.ts";
import { formatNumber } from "./numbers.ts";
import { renderTable } from "./table.ts";

/** Collects figures. What people read while it goes on is written to stderr; figures to stdout, as lines of JSON or as a table. */
export function createReporter({ json }: { json: boolean }): BenchReporter & {
  readonly lines: readonly FigureLine[];
  /** Shows what there is. */
  close(): void;
} {
  const lines: FigureLine[] = [];
  const startedAt = performance.now();
  const tell = (text: string) => {
    if (json) return;
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  return {
    lines,
    caseStarted: ({ name, about }) => tell(`${name}: ${about}`),
    reading(title, contestant, reading) {
      const figures = Object.entries(reading).map(([metric, value]) => `${metric} ${formatNumber(value)}`);
      tell(`  ${title} – ${contestant}: ${figures.join(", ")}`);
    },
    figure(figure: Figure) {
      const line = toLine(figure);
      lines.push(line);
      if (json) console.log(JSON.stringify(line));
    },
    caseFailed({ name }, error) {
      console.error(`FAILED ${name}:`, error);
    },
    close() {
      if (!json && lines.length > 0) console.log(renderTable(lines));
    },
  };
}
