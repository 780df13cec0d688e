import type { Size } from "../bench-case.ts";
import type { FigureLine } from "../measuring/figure.ts";
import { renderTable } from "./table.ts";

/** What a case came to when it was last run for the page. */
export interface MeasuredCase {
  readonly name: string;
  /** Day, as in `"2026-11-26"`. */
  readonly measuredOn: string;
  readonly size: Size;
  readonly rounds: number;
  /** Processors, system, Node and PostgreSQL. */
  readonly machine: string;
  /** How many programs wanted a core in the minute before, on average; 0 on a machine that does nothing else. */
  readonly loadBefore: number;
  readonly lines: readonly FigureLine[];
}

/** Everything that the page and its chart are drawn from. */
export interface MeasuredCases {
  readonly cases: readonly MeasuredCase[];
}

/** Puts newly measured cases in the place of what they came to before; in the order of `names`. */
export function mergeCases(
  before: MeasuredCases,
  measured: readonly MeasuredCase[],
  names: readonly string[],
): MeasuredCases {
  const byName = new Map([...before.cases, ...measured].map((one) => [one.name, one]));
  return { cases: names.flatMap((name) => byName.get(name) ?? []) };
}

/** With more than this, others were in the way, and the figures say little. */
const QUIET_LOAD = 0.5;

/** The figures of the page: for each case the command, the machine and a table. */
export function renderFigures({ cases }: MeasuredCases, peers: Readonly<Record<string, string>>): string {
  const goals = cases.flatMap(({ lines }) => lines.flatMap((line) => line.goals));
  const reached = goals.filter((goal) => goal.reached).length;
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  return [
    `Peers: ${versions.join(", ")}. Goals reached: ${reached} of ${goals.length}.`,
    ...cases.map((one) => {
      const options = one.size === "full" ? "" : ` --${one.size}`;
      return [
        `### ${one.name}`,
        "",
        `\`npm run bench -- ${one.name}${options} --rounds ${one.rounds}\`, ${one.measuredOn}, ${one.machine}.`,
        ...(one.loadBefore > QUIET_LOAD ? ["", describeLoad(one.loadBefore)] : []),
        "",
        renderTable(one.lines.map((line) => ({ ...line, case: line.case.replace(`${one.name}: `, "") }))),
      ].join("\n");
    }),
  ].join("\n\n");
}

function describeLoad(load: number): string {
  return `**The machine was busy with other things (load ${load.toFixed(1)} before the run): not to be relied on.**`;
}

const MARKERS = { begin: "<!-- figures: written by `npm run bench -- --write-docs` -->", end: "<!-- /figures -->" };

/**
 * Puts figures into a page, between its two markers.
 *
 * @throws Error when it does not have them
 */
export function insertFigures(page: string, figures: string): string {
  const [begin, end] = [page.indexOf(MARKERS.begin), page.indexOf(MARKERS.end)];
  if (begin < 0 || end < begin) throw new Error(`Expected the page to have ${MARKERS.begin} and then ${MARKERS.end}.`);
  return `${page.slice(0, begin + MARKERS.begin.length)}\n\n${figures}\n\n${page.slice(end)}`;
}
