import { checkInteger, checkName, DEFAULT_NOTIFY_CHANNEL } from "@pup/core";
import { type ConnectionOptions, type Server, toServer } from "./server.ts";

/** Settings of {@link createNotifyDispatcher}. */
export interface NotifyDispatcherOptions {
  /**
   * Where to listen: a connection string or options of postgres.js, with the password as a value or a function.
   * It has to lead to the server itself or to a pooler in session mode, since a session is what listens.
   */
  readonly connection: ConnectionOptions;

  /** Channel that the store notifies: 1 to 63 bytes, capitals and all. @defaultValue `"pup_events"` */
  readonly channel?: string | undefined;

  /**
   * How often the store is asked for the latest position besides, in milliseconds: a lost notification costs this much time.
   *
   * @defaultValue `1_000`
   */
  readonly reconcileIntervalMs?: number | undefined;

  /**
   * How often the session sends itself a notification, in milliseconds. A connection that has died without a word is noticed
   * within twice this time.
   *
   * @defaultValue `5_000`
   */
  readonly notifyHeartbeatMs?: number | undefined;
}

/** What {@link createNotifyDispatcher} uses unless told otherwise. */
export const notifyDispatcherDefaults = {
  channel: DEFAULT_NOTIFY_CHANNEL,
  reconcileIntervalMs: 1_000,
  notifyHeartbeatMs: 5_000,
} as const satisfies Partial<NotifyDispatcherOptions>;

/** Settings, complete and checked. */
export interface ResolvedOptions {
  readonly server: Server;
  readonly channel: string;
  readonly reconcileIntervalMs: number;
  readonly notifyHeartbeatMs: number;
}

/** @throws {@link InvalidOptionError} when an option has a value that cannot work */
export function resolveOptions({
  connection,
  channel = notifyDispatcherDefaults.channel,
  reconcileIntervalMs = notifyDispatcherDefaults.reconcileIntervalMs,
  notifyHeartbeatMs = notifyDispatcherDefaults.notifyHeartbeatMs,
}: NotifyDispatcherOptions): ResolvedOptions {
  return {
    server: toServer(connection),
    // PostgreSQL cuts longer names silently, and two long ones could then meet.
    channel: checkName("channel", channel, 63),
    reconcileIntervalMs: checkInteger("reconcileIntervalMs", reconcileIntervalMs),
    notifyHeartbeatMs: checkInteger("notifyHeartbeatMs", notifyHeartbeatMs),
  };
}
