import { PupError } from "@pup/core";
import { certificateProblem } from "./connection-error.ts";

/** No connection could be opened, so nothing was sent. The reason is the `cause`. Try again later. */
export class ConnectionFailedError extends PupError {
  override readonly name = "ConnectionFailedError";
  readonly code = "PUP_CONNECTION_FAILED";

  constructor(options?: ErrorOptions) {
    const problem = certificateProblem(options?.cause);
    const reason = problem === undefined ? "" : `: the server's certificate was not accepted (${problem})`;
    super(`No connection to PostgreSQL could be opened${reason}.`, options);
  }
}

/** The server does not let this user into this database. The reason is in the message, and the `cause`. */
export class LoginRefusedError extends PupError {
  override readonly name = "LoginRefusedError";
  readonly code = "PUP_LOGIN_REFUSED";

  constructor(reason: string, options?: ErrorOptions) {
    super(`PostgreSQL refused the login: ${reason}.`, options);
  }
}

/** The server cannot prove who it is: its certificate is for another name, or nobody known vouches for it. */
export class CertificateRefusedError extends PupError {
  override readonly name = "CertificateRefusedError";
  readonly code = "PUP_CERTIFICATE_REFUSED";

  constructor(problem: string, options?: ErrorOptions) {
    super(
      `The server's certificate was not accepted: ${problem}. Expected one that \`ssl: { ca }\` vouches for, ` +
        "for the very host name or address in `connection`.",
      options,
    );
  }
}

/**
 * The connection ended while it was in use. Whatever a transaction had done on it is rolled back; whether a single
 * statement outside a transaction was carried out is unknown.
 */
export class ConnectionLostError extends PupError {
  override readonly name = "ConnectionLostError";
  readonly code = "PUP_CONNECTION_LOST";

  constructor(options?: ErrorOptions) {
    super("The connection to PostgreSQL was lost.", options);
  }
}

/** A single statement took longer than it may. Its backend was told to end, so it may have been carried out or not. */
export class StatementTimeoutError extends PupError {
  override readonly name = "StatementTimeoutError";
  readonly code = "PUP_STATEMENT_TIMEOUT";

  constructor(timeoutMs: number, options?: ErrorOptions) {
    super(`Expected the statement to finish within \`statementTimeoutMs\` (${timeoutMs}).`, options);
  }
}

/** A transaction (or savepoint) was used after it had ended. Nothing was sent. The `cause` says why it ended, if not by itself. */
export class TransactionOverError extends PupError {
  override readonly name = "TransactionOverError";
  readonly code = "PUP_TRANSACTION_OVER";

  constructor(what: "transaction" | "savepoint", options?: ErrorOptions) {
    super(`This ${what} is over: nothing can be sent through it any more.`, options);
  }
}

/** The transaction did not end in time. It is rolled back. */
export class TransactionTimeoutError extends PupError {
  override readonly name = "TransactionTimeoutError";
  readonly code = "PUP_TRANSACTION_TIMEOUT";
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`Expected the transaction to end within ${timeoutMs} ms.`);
    this.timeoutMs = timeoutMs;
  }
}

/** The transaction's signal was aborted before it was committed. It is rolled back; the signal's reason is the `cause`. */
export class TransactionAbortedError extends PupError {
  override readonly name = "TransactionAbortedError";
  readonly code = "PUP_TRANSACTION_ABORTED";

  constructor(options?: ErrorOptions) {
    super("The transaction was given up because its signal was aborted.", options);
  }
}

/** The server answered COMMIT with a rollback, and nothing says why. */
export class TransactionRolledBackError extends PupError {
  override readonly name = "TransactionRolledBackError";
  readonly code = "PUP_TRANSACTION_ROLLED_BACK";

  constructor() {
    super("The transaction was rolled back instead of committed: one of its statements had failed.");
  }
}

/** COMMIT was sent and its answer never came: the transaction is committed or rolled back. Read what it would have written. */
export class CommitUnknownError extends PupError {
  override readonly name = "CommitUnknownError";
  readonly code = "PUP_COMMIT_UNKNOWN";

  constructor(options?: ErrorOptions) {
    super("The connection was lost during COMMIT: whether the transaction is committed is unknown.", options);
  }
}

/** A statement that begins or ends a transaction was sent through a transaction's handle. Nothing was sent. */
export class TransactionControlError extends PupError {
  override readonly name = "TransactionControlError";
  readonly code = "PUP_TRANSACTION_CONTROL";
  /** What was refused, in capitals: `COMMIT`. */
  readonly statement: string;

  constructor(statement: string) {
    super(
      `${statement} is not allowed here: the transaction ends with its handler. For a part of it, use \`savepoint()\`.`,
    );
    this.statement = statement;
  }
}

/** A handle was used while a savepoint made from it was open, or its handler ended before the savepoint did. */
export class SavepointOpenError extends PupError {
  override readonly name = "SavepointOpenError";
  readonly code = "PUP_SAVEPOINT_OPEN";

  constructor() {
    super(
      "A savepoint is open: await it, and inside it use the handle that its callback was given. " +
        "What ran beside it would silently be undone with it.",
    );
  }
}
