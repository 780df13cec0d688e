/** How a worker makes itself known. */
export interface WorkerRegistration {
  /** A fresh UUID for every start. */
  readonly workerId: string;
  /** Names of the consumers whose code this worker has. The leader gives it no others. */
  readonly consumers: readonly string[];
}

/** What a worker learns when it reports. */
export interface WorkerView {
  /** Names of the consumers given to this worker. */
  readonly assigned: readonly string[];
  /** How many workers are registered and not silent, this one included. */
  readonly liveWorkers: number;
  /** Names of consumers given to this worker of which some dead letters are due. */
  readonly deadLettersDue: readonly string[];
  /**
   * Every registered worker, as {@link ControlSession.observeWorkers} lists them; undefined without `beat`. Who may lead one day
   * has to have seen the others, and learns it with no further statement.
   */
  readonly workers?: readonly WorkerStatus[] | undefined;
}

/** A worker as the leader sees it. */
export interface WorkerStatus {
  readonly workerId: string;
  /** Time since its last heartbeat, in milliseconds by the database's clock. */
  readonly heartbeatAgeMs: number;
  /** True while a session of that worker holds its liveness lock: false at once when its process dies. */
  readonly livenessLockHeld: boolean;
}

/** A worker that can be given consumers. */
export interface CapableWorker {
  readonly workerId: string;
  readonly consumers: readonly string[];
}

/** Everything the leader deals out by, in one snapshot. */
export interface Survey {
  /** Workers whose protocol this leader knows; it gives nothing to others, and takes nothing from them. */
  readonly workers: readonly CapableWorker[];
  /** Every registered worker, as {@link ControlSession.observeWorkers} lists them: a leader that deals need not look as well. */
  readonly statuses: readonly WorkerStatus[];
  /** Who has which consumer now: consumer name to worker id. */
  readonly assignments: ReadonlyMap<string, string>;
}

/** What the leader wants to be true. */
export interface AssignmentPlan {
  /** The whole deal: consumer name to worker id. Consumers that are not in it have no live worker with their code. */
  readonly assignments: ReadonlyMap<string, string>;
  /** Workers that count as dead: they are struck off, so that their consumers can be taken over at once. */
  readonly dead: readonly string[];
}

/** Leadership as it stands: one number, higher with each new leader. */
export interface Leadership {
  readonly term: number;
}

/**
 * How it is decided who leads: by a lock that a session holds, or by a lease, a row that is renewed and runs out. A lease needs
 * no session, so it works behind a pooler that gives none.
 */
export type ElectionDriver = "advisory" | "lease";

/** A session's part in deciding who leads. */
export interface LeaderElection {
  readonly driver: ElectionDriver;
  /** With leases, how long one lasts that is not renewed, in milliseconds. Undefined where a lock decides. */
  readonly leaseDurationMs?: number | undefined;
  /**
   * Tries to become leader, or proves that it still is. Called regularly; any doubt is null, and who could not ask rejects and
   * leads no more either.
   *
   * @returns the leadership held now, or null
   */
  tick(): Promise<Leadership | null>;
  /**
   * What the last tick found out beside: nobody leads who reports to be alive, and yet the leadership is not to be had. That
   * passes within moments, unless the lock of a host that is gone stays with the server and cannot be ended from here.
   */
  readonly leaderMissing: boolean;
  /** Gives the leadership up, so that the next one need not wait. */
  resign(): Promise<void>;
}

/**
 * One worker's line to the others through the database, on a connection of its own that a busy pool cannot starve.
 * It is one session for as long as it lives, never silently another one: when the connection is lost it stays lost, every
 * method rejects, and the worker opens a new one.
 */
export interface ControlSession {
  /** Aborted as soon as the session is known to be lost. */
  readonly lost: AbortSignal;
  readonly election: LeaderElection;

  /**
   * Registers a worker and wakes the leader; again, when it was struck off or has other consumers than before. Where sessions can hold locks, nobody
   * ever sees the worker without its liveness lock: whom a leader gives consumers to, it can miss.
   *
   * @returns false when the lock is not held: sessions hold none here, or an earlier session of the worker has it still
   */
  register(worker: WorkerRegistration): Promise<boolean>;
  /**
   * Learns what to run, and with `beat` reports to be alive and learns who else is there.
   *
   * @returns null when the worker is not registered (any more)
   */
  sync(request: {
    readonly workerId: string;
    readonly beat: boolean;
    readonly heartbeatTimeoutMs: number;
  }): Promise<WorkerView | null>;
  /**
   * Holds the worker's liveness lock for as long as the session lives: for a new session of a worker that is registered.
   *
   * @returns false when sessions cannot hold locks here; heartbeats alone decide then
   */
  holdLivenessLock(workerId: string): Promise<boolean>;
  /** Strikes a worker off, with its assignments. */
  deregister(workerId: string): Promise<void>;

  /** Lists every registered worker. For the leader, often: one light statement. */
  observeWorkers(): Promise<readonly WorkerStatus[]>;
  /** Reads what the leader deals out by. */
  survey(): Promise<Survey>;
  /**
   * Makes the plan true in one transaction that first checks, under the leader row's lock, that the term is the present one
   * and, with a lease, that it has not run out.
   * Writes in name order, and only what differs.
   *
   * @returns false when another leader has come: nothing was written
   */
  assign(leadership: Leadership, plan: AssignmentPlan): Promise<boolean>;

  /** Ends the session. Locks it held are free afterwards. Twice is fine. */
  close(): Promise<void>;
}

/** Opens control sessions. */
export interface Coordination {
  /** @throws when the database cannot be reached */
  openControlSession(options?: { readonly signal?: AbortSignal }): Promise<ControlSession>;
}
