/** On which the producer notifies, and to which the workers listen. */
export const notifyChannel = "shop_events";

/** Application name of the producer's sessions. */
export const producerName = "producer";

/** What the demo tells a process that it starts. */
export interface ChildSettings {
  readonly databaseUrl: string;
  readonly dispatcher: "notify" | "poll";
  /** Aborted by SIGTERM: finish what you are at, then end. */
  readonly stopping: AbortSignal;
}

/** Reads what the demo has told this process, and begins to listen to its signals. */
export function readChildSettings(): ChildSettings {
  const { DATABASE_URL: databaseUrl } = process.env;
  const [, , dispatcher] = process.argv;
  if (!databaseUrl || (dispatcher !== "notify" && dispatcher !== "poll")) {
    throw new Error("Expected DATABASE_URL, and `notify` or `poll` as the argument.");
  }

  const stopping = new AbortController();
  process.once("SIGTERM", () => stopping.abort());
  // The demo is gone, and the database with it: there is nothing left to finish.
  process.once("disconnect", () => process.exit(1));
  // Whatever is left open has to show as a process that does not end; the line to the demo is not ours to count.
  process.channel?.unref();
  return { databaseUrl, dispatcher, stopping: stopping.signal };
}

/** Tells the demo something. */
export function reportToParent(report: object): void {
  if (process.connected) process.send?.(report);
}
