import type { Sql } from "postgres";
import type { Session } from "./session.ts";
import { CommitUnknownError, TransactionOverError, TransactionRolledBackError } from "./session-errors.ts";
import { sendNow } from "./transaction-channel.ts";
import type { Scope } from "./transaction-scope.ts";

/** How long statements that nobody awaited may keep ROLLBACK waiting, in milliseconds. */
const ROLLBACK_GRACE_MS = 5_000;

/**
 * Commits, behind everything that was sent.
 *
 * @throws {@link CommitUnknownError} when it was sent and not answered; what the server said, when it refused
 */
export async function commit(maker: Sql, session: Session, scope: Scope): Promise<void> {
  const commit = sendNow(maker, "commit", (query) => session.send(query));
  const { command } = await commit.answer.catch((error: unknown) => {
    throw session.loss !== undefined && commit.wasSent() ? new CommitUnknownError({ cause: session.loss }) : error;
  });
  // The server answers so when a statement has failed, and it is no error to it.
  if (command !== "COMMIT") throw scope.failure?.error ?? new TransactionRolledBackError();
}

/** Rolls back behind everything that was sent, or ends the backend. The session is at rest afterwards, or lost. Never rejects. */
export async function rollBack(
  maker: Sql,
  session: Session,
  endBackend: (reason: Error) => Promise<void>,
): Promise<void> {
  if (session.loss !== undefined) return;
  const giveUp = () => void endBackend(new TransactionOverError("transaction"));
  const timer = setTimeout(giveUp, ROLLBACK_GRACE_MS);
  try {
    await sendNow(maker, "rollback", (query) => session.send(query)).answer;
  } catch (cause) {
    // No state that another transaction should start from.
    session.cut(new TransactionOverError("transaction", { cause }));
  } finally {
    clearTimeout(timer);
  }
}
