import type { Results } from "./count-results.ts";

/** What became of one release of PostgreSQL. */
export interface MatrixRow extends Results {
  readonly version: number;
  readonly seconds: number;
}

const columns = ["version", "passed", "failed", "skipped", "seconds"] as const;

/** The results as a table, and below it a plain line that counts all of them together. */
export function formatMatrix(rows: readonly MatrixRow[]): string {
  const lines = rows.map((row) => formatLine(columns.map((column) => formatValue(column, row))));
  const total = (column: "passed" | "failed") => rows.reduce((sum, row) => sum + row[column], 0);
  return [formatLine(columns), ...lines, `${total("passed")} passed, ${total("failed")} failed`].join("\n");
}

function formatValue(column: (typeof columns)[number], row: MatrixRow): string {
  return column === "seconds" ? row.seconds.toFixed(1) : String(row[column]);
}

function formatLine(values: readonly string[]): string {
  return values.map((value) => value.padStart(8)).join("");
}

/**
 * Reads what `--versions` says.
 *
 * @param text - majors with commas between them; undefined for all that are installed
 * @returns majors in ascending order
 * @throws Error that says what can be had, when it is something else
 */
export function chooseVersions(text: string | undefined, installed: readonly number[]): readonly number[] {
  const ascending = [...installed].sort((a, b) => a - b);
  if (text === undefined) return ascending;
  const asked = text.split(",").map((word) => word.trim());
  const unknown = asked.filter((word) => !ascending.map(String).includes(word));
  if (unknown.length > 0) {
    throw new Error(`Expected --versions to name some of ${ascending.join(",")}, got ${JSON.stringify(text)}.`);
  }
  return ascending.filter((version) => asked.includes(String(version)));
}
