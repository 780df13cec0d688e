/** A consumer, as shown. */
export interface ConsumerStatus {
  readonly name: string;
  /** Positions it is behind the end of the log. */
  readonly lag: number;
  /** Events it handled per second, lately. */
  readonly perSecond: number;
}

/** A worker, as shown. */
export interface WorkerStatus {
  readonly name: string;
  readonly pid: number;
  readonly state: "starting" | "running" | "stopping" | "stopped" | "killed" | "crashed";
  readonly leads: boolean;
  readonly consumers: readonly ConsumerStatus[];
}

/** How things stand. */
export interface Status {
  /** What is happening now, in a few words. */
  readonly doing: string;
  readonly workers: readonly WorkerStatus[];
  /** Consumers that nobody runs at the moment. */
  readonly unowned: readonly ConsumerStatus[];
  /** Events whose append was acknowledged. */
  readonly appended: number;
  readonly appendedPerSecond: number;
  /** Events that were appended and then rolled back. */
  readonly rolledBack: number;
  /** For how long an append has been waiting for its commit, in milliseconds; 0 if none has. */
  readonly openAppendMs: number;
}

/** Where people see what happens. */
export interface Display {
  /** Tells something once. */
  tell(text: string): void;
  /** Shows how things stand, if and as it sees fit. */
  show(status: Status): void;
  /** Ends what is shown; what was told stays. */
  close(): void;
}
