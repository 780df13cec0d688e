import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { BenchCase } from "../../bench-case.ts";
import type { OpenContestant } from "../../measuring/compare.ts";
import { check } from "../../workload/check.ts";
import { withFilledLog } from "../../workload/filled-log.ts";

/** What a process that replays tells at its end. */
export interface ReplayReport {
  readonly handled: number;
  /** Before it began: Node, and all code that it runs. */
  readonly megabytesBefore: number;
  readonly mostMegabytes: number;
}

export const memory: BenchCase = {
  name: "memory",
  about: "the most that a process holds while it replays a long log, at default options",
  async run(context) {
    await withFilledLog(context, context.pick({ full: 1_000_000, quick: 200_000, smoke: 300 }), async (log) => {
      const replay = (system: "pup" | "raw"): OpenContestant<"resident" | "added"> => {
        return async () => ({
          async measure() {
            const { handled, megabytesBefore, mostMegabytes } = await runReplay(system, log.url, context.signal);
            check("events handled", handled, log.events);
            return { resident: mostMegabytes, added: mostMegabytes - megabytesBefore };
          },
          close: async () => undefined,
        });
      };
      await context.compare({
        title: "replay",
        contestants: { pup: replay("pup"), raw: replay("raw") },
        metrics: {
          resident: { unit: "MB", better: "less", goals: [{ atMost: 150 }] },
          added: { unit: "MB", better: "less" },
        },
        warmUp: 0,
        rounds: context.pick({ full: 3, quick: 1, smoke: 1 }),
      });
    });
  },
};

/** In a process of its own: what everything before has left in this one's memory does not count. */
async function runReplay(system: string, url: string, signal: AbortSignal): Promise<ReplayReport> {
  const program = fileURLToPath(new URL("./replay.process.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@pup/source", program, system, url], {
    stdio: ["ignore", "pipe", "inherit"],
    signal,
  });
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (status !== 0) throw new Error(`The process that replays with ${system} ended with ${status}.`);
  return JSON.parse(output);
}
