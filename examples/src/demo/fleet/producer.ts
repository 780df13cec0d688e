import type { LedgerReport } from "../producer/ledger.ts";
import type { Account } from "../verdict/compare-account.ts";
import { type Child, type ChildOptions, startChild } from "./child.ts";
import { createRate, type Rate } from "./rate.ts";

/** The process that appends, and the account of what it was told. */
export interface Producer {
  readonly account: Account;
  /** Events whose append was acknowledged. */
  readonly appended: Pick<Rate, "total" | "perSecond">;
  /** Appends that were refused because the aggregate had another version than expected. */
  readonly conflicts: number;
  start(): void;
  /** Lets it finish what it is at. Afterwards the account is complete. */
  stop(): Promise<void>;
  /** Ends it at once, if it runs. */
  kill(): Promise<void>;
}

const program = new URL("../producer/producer-process.ts", import.meta.url);

/** Creates the producer; it does nothing until it is started. */
export function createProducer(options: Pick<ChildOptions, "databaseUrl" | "dispatcher" | "onCrash">): Producer {
  const acknowledged = new Set<string>();
  const rolledBack = new Set<string>();
  const appended = createRate(() => performance.now());
  let conflicts = 0;
  let child: Child | null = null;

  const onReport = (report: LedgerReport) => {
    for (const id of report.acknowledged) acknowledged.add(id);
    for (const id of report.rolledBack) rolledBack.add(id);
    appended.add(report.acknowledged.length);
    conflicts += report.conflicts;
  };

  return {
    account: { acknowledged, rolledBack },
    appended,
    get conflicts() {
      return conflicts;
    },
    start() {
      child = startChild({ ...options, name: "the producer", program, onReport });
    },
    async stop() {
      await child?.stop();
    },
    async kill() {
      await child?.kill();
    },
  };
}
