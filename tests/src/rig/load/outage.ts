import type { PgStore } from "@pup/store-pg";

/** Whether an error says that the server was away or gave up the transaction, by whichever driver; nothing that anybody did wrong. */
export function isOutage(store: Pick<PgStore, "isTransient">, error: unknown): boolean {
  if (store.isTransient(error)) return true;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    // How the driver `pg` says it, and the system below it.
    if (/^E(CONNRESET|CONNREFUSED|PIPE)$/.test((cause as NodeJS.ErrnoException).code ?? "")) return true;
    if (/Connection terminated|connection error and is not queryable/.test(cause.message)) return true;
  }
  return false;
}
