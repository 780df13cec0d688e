import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import type { Size } from "../bench-case.ts";
import { cases } from "../cases/index.ts";
import type { FigureLine } from "../measuring/figure.ts";
import { renderChart } from "./chart.ts";
import { insertFigures, type MeasuredCase, type MeasuredCases, mergeCases, renderFigures } from "./page.ts";

const docs = join(import.meta.dirname, "../../../docs");
const manifest = join(import.meta.dirname, "../../package.json");

/** What is said of a run beside its figures. */
export interface RunFacts {
  readonly size: Size;
  /** Version of the server. */
  readonly server: string;
  /** The machine's load before the run. */
  readonly loadBefore: number;
}

/**
 * Brings `docs/performance.md` and its chart up to date with the cases that were measured. What the others came to stays as it is:
 * all of it is kept in `docs/performance.json`.
 */
export function writeDocs(lines: readonly FigureLine[], { size, server, loadBefore }: RunFacts): void {
  const [data, page, chart] = ["json", "md", "svg"].map((ending) => join(docs, `performance.${ending}`)) as [
    string,
    string,
    string,
  ];
  const names = cases.map(({ name }) => name);
  const measured = names.flatMap((name): MeasuredCase[] => {
    const own = lines.filter((line) => line.case.startsWith(`${name}: `));
    const rounds = Math.max(...own.map((line) => line.rounds));
    const measuredOn = new Date().toISOString().slice(0, 10);
    if (own.length === 0) return [];
    return [{ name, measuredOn, size, rounds, machine: describeMachine(server), loadBefore, lines: own }];
  });
  const before: MeasuredCases = existsSync(data) ? JSON.parse(readFileSync(data, "utf8")) : { cases: [] };
  const all = mergeCases(before, measured, names);
  writeFileSync(data, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(page, insertFigures(readFileSync(page, "utf8"), renderFigures(all, peerVersions())));
  writeFileSync(chart, renderChart(all.cases.flatMap(({ lines: ofCase }) => ofCase)));
}

function describeMachine(server: string): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} cores (${model}), ${gigabytes} GB, Node ${process.versions.node}, PostgreSQL ${server}`;
}

function peerVersions(): Readonly<Record<string, string>> {
  const { devDependencies } = JSON.parse(readFileSync(manifest, "utf8")) as { devDependencies: Record<string, string> };
  const peers = ["@event-driven-io/emmett-postgresql", "graphile-worker", "pg-boss"];
  return Object.fromEntries(peers.map((name) => [name, devDependencies[name] ?? "?"]));
}
