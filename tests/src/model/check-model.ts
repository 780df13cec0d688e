import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Spin } from "./find-spin.ts";
import { type BreakageName, breakages, type Check } from "./models.ts";

/** What became of a check. */
export interface ModelOutcome {
  /** Different states that were reached: all there are, unless an invariant broke. */
  readonly states: number;
  /** Steps on the longest way that was followed. */
  readonly depth: number;
  readonly seconds: number;
  /** The shortest way to a broken invariant: who did what, the invariant last. Null when none can break. */
  readonly story: readonly string[] | null;
}

/** How it is looked for. */
interface Search {
  readonly broken: readonly string[];
  readonly compilerFlags: readonly string[];
}

const execute = promisify(execFile);

/** More steps than any way without a circle has; the checker tells when that is wrong. */
const MAX_STEPS = 100_000;

/** The checker takes no more memory than this, in MiB, and tells when it is not enough. */
const MAX_MEMORY = 6_000;

/**
 * Follows every order of steps that there is in a model, and checks its invariants after each step.
 *
 * @throws when the checker could not look at all of it
 */
export async function checkModel(spin: Spin, check: Check, signal: AbortSignal): Promise<ModelOutcome> {
  // In depth takes the least memory for a whole check.
  return await run(spin, { ...check, broken: [], compilerFlags: [check.long ? "-O2" : "-O0", "-DCOLLAPSE"] }, signal);
}

/** Takes a protection out, and looks for the shortest way in which that does harm. */
export async function checkBroken(spin: Spin, name: BreakageName, signal: AbortSignal): Promise<ModelOutcome> {
  // In breadth finds the shortest way first; that is soon found, so that compiling well would take longer.
  const broken = [`BREAK_${name.toUpperCase()}`];
  return await run(spin, { ...breakages[name], broken, compilerFlags: ["-O0", "-DBFS"] }, signal);
}

async function run(
  { spin, compiler }: Spin,
  { model, sizes, broken, compilerFlags }: Pick<Check, "model" | "sizes"> & Search,
  signal: AbortSignal,
): Promise<ModelOutcome> {
  const source = join(import.meta.dirname, `${model}.pml`);
  const folder = await mkdtemp(join(tmpdir(), "pup-model-"));
  const call = async (program: string, ...args: string[]) =>
    (await execute(program, args, { cwd: folder, signal, maxBuffer: 2 ** 26 })).stdout;
  try {
    const defines = [...broken, ...Object.entries(sizes).map(([name, size]) => `${name}=${size}`)].map(toDefine);
    await call(spin, "-a", ...defines, source);
    const limits = ["SAFETY", "VECTORSZ=2048", `MEMLIM=${MAX_MEMORY}`].map(toDefine);
    // What the checker's own code is warned of is not ours.
    await call(compiler, "-w", ...limits, ...compilerFlags, "-o", "pan", "pan.c");
    const startedAt = performance.now();
    const report = await call(join(folder, "pan"), `-m${MAX_STEPS}`, "-n");
    const seconds = (performance.now() - startedAt) / 1_000;
    const errors = numberIn(report, /errors: (\d+)/);
    if (errors === 0 && /max search depth too small|Search not completed/.test(report)) {
      throw new Error(`The model checker could not look at all of the model:\n${report}`);
    }
    const story = errors === 0 ? null : toStory(await call(spin, "-T", "-k", `${model}.pml.trail`, ...defines, source));
    const counted = {
      states: numberIn(report, /(\d+) states, stored/),
      depth: numberIn(report, /depth reached (\d+)/),
    };
    return { ...counted, seconds, story };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function toDefine(name: string): string {
  return `-D${name}`;
}

function numberIn(report: string, pattern: RegExp): number {
  const [, digits] = pattern.exec(report) ?? [];
  if (digits === undefined) throw new Error(`Expected the model checker to report ${pattern}, got:\n${report}`);
  return Number(digits);
}

/** What the model said on its way; Spin says more, of its own. */
function toStory(replay: string): string[] {
  const lines = replay.split("\n").map((line) => line.trim());
  const end = lines.findIndex((line) => line.startsWith("BROKEN"));
  if (end === -1) throw new Error(`Expected the story of a broken invariant, got:\n${replay}`);
  return lines.slice(0, end + 1).map((line) => line.replace(/^BROKEN /, "Broken: "));
}
