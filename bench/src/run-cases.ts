import type { BenchArguments } from "./arguments.ts";
import type { BenchCase, BenchContext } from "./bench-case.ts";
import { compare } from "./measuring/compare.ts";
import type { Figure } from "./measuring/figure.ts";
import type { BenchServer } from "./server.ts";

/** Where it is told how it goes. */
export interface BenchReporter {
  caseStarted(benchCase: BenchCase): void;
  reading(title: string, contestant: string, reading: Readonly<Record<string, number>>): void;
  figure(figure: Figure): void;
  caseFailed(benchCase: BenchCase, error: unknown): void;
}

export interface RunCasesOptions extends Pick<BenchArguments, "size" | "rounds" | "huge"> {
  readonly server: BenchServer;
  readonly reporter: BenchReporter;
  readonly signal: AbortSignal;
}

/**
 * Measures one case after the other. One that fails keeps the others from nothing.
 *
 * @returns whether all went well
 */
export async function runCases(
  cases: readonly BenchCase[],
  { server, reporter, signal, size, rounds, huge }: RunCasesOptions,
): Promise<boolean> {
  let allWell = true;
  for (const benchCase of cases) {
    signal.throwIfAborted();
    reporter.caseStarted(benchCase);
    const context: BenchContext = {
      pick: (bySize) => bySize[size],
      huge,
      database: server.database,
      log: server.log,
      filledLog: server.filledLog,
      signal,
      async compare(comparison) {
        const warmUp = size === "smoke" ? 0 : comparison.warmUp;
        const figures = await compare(
          { ...comparison, warmUp },
          {
            case: benchCase.name,
            rounds,
            signal,
            onReading: (contestant, title, reading) => reporter.reading(title, contestant, reading),
          },
        );
        for (const figure of figures) reporter.figure(figure);
      },
    };
    try {
      await benchCase.run(context);
    } catch (error) {
      signal.throwIfAborted();
      allWell = false;
      reporter.caseFailed(benchCase, error);
    } finally {
      await server.dropDatabases();
    }
  }
  return allWell;
}
