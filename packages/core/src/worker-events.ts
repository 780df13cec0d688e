import type { ElectionDriver } from "./coordination.ts";
import type { GlobalPosition } from "./event.ts";
import type { PositionRange } from "./event-log.ts";

/** Everything a worker reports while it runs. Events tell, they never ask: nothing waits for a listener. */
export type WorkerEvents = {
  /** Registered, and ready to be given consumers. */
  "worker:started": { workerId: string };
  /** Everything has ended and was closed. */
  "worker:stopped": { workerId: string };
  /** The line to the other workers broke; it is opened again after `retryInMs`. Consumers run on meanwhile. */
  "worker:disconnected": { workerId: string; error: unknown; retryInMs: number };
  /** This worker had been struck off as dead, and has registered again. */
  "worker:rejoined": { workerId: string };

  /** How the fleet's leader is elected, as this worker found out when it connected. Told once, and again if it was wrong. */
  "leader:election-chosen": { workerId: string; driver: ElectionDriver };
  /** This worker became the one that deals consumers out. */
  "leader:acquired": { workerId: string; term: number };
  /** This worker leads no more. */
  "leader:lost": { workerId: string; term: number };
  /**
   * No leader has been alive for longer than `unhealthyAfterMs`, and yet this worker is refused the leadership: its lock is held by
   * a session that cannot be ended from here, say one of another role. Told once, until there is a leader again.
   */
  "leader:missing": { workerId: string; missingForMs: number };
  /** As leader, this worker dealt the consumers out anew: consumer name to worker id. */
  "leader:assigned": { term: number; assignments: Readonly<Record<string, string>> };
  /** As leader, this worker struck off another one. */
  "leader:worker-died": { workerId: string; reason: "heartbeat" | "liveness" };

  /** This worker runs the consumer from now on, from `position`. */
  "consumer:acquired": { consumer: string; epoch: number; position: GlobalPosition };
  /** This worker handed the consumer back, or lost it to another one. */
  "consumer:released": { consumer: string; epoch: number; reason: "reassigned" | "fenced" | "stopped" | "failed" };
  /** The consumer is at the settled head and waits. */
  "consumer:caught-up": { consumer: string; position: GlobalPosition };
  /** An event failed too often, and the consumer stays before it until this worker restarts. The others go on. */
  "consumer:failed": { consumer: string; error: unknown; attempts: number; position: GlobalPosition };

  /** Effects and checkpoint of a batch are committed. */
  "batch:committed": { consumer: string; epoch: number; events: number; position: GlobalPosition; durationMs: number };
  /**
   * A batch was rolled back; it is tried again after `retryInMs`, in parts if it had more than one event. `attempt` counts from
   * 1; transient errors do not raise it.
   */
  "batch:failed": { consumer: string; error: unknown; attempt: number; transient: boolean; retryInMs: number };

  /** The consumer went on without an event that failed too often: it was skipped, or parked with its aggregate. */
  "dead-letter:added": {
    consumer: string;
    position: GlobalPosition;
    eventId: string;
    parked: boolean;
    error: unknown;
    attempts: number;
  };
  /** Events of parked aggregates became letters behind the first one. */
  "dead-letter:queued": { consumer: string; events: number; position: GlobalPosition };
  /** A letter was handled after all. */
  "dead-letter:resolved": { consumer: string; position: GlobalPosition };
  /** A letter was handled again, in vain. It stays one. */
  "dead-letter:failed": { consumer: string; position: GlobalPosition; error: unknown };

  /** Everything at or below `position` can be read from now on without missing anything. */
  "log:settled": { position: GlobalPosition };
  /** Positions that no event will ever have: their appends were rolled back. Told once. */
  "log:gaps-closed": { ranges: readonly PositionRange[]; waitedMs: number };
  /** A transaction that has appended stays open, and holds up what lies behind its positions. Told again every minute. */
  "log:held-up": { pid: number | null; applicationName: string; prepared: boolean; waitedMs: number };
};
