import type { Sql } from "postgres";
import type { Dispatch } from "./guarded-query.ts";
import { asQuery, fail, type Query, type QueryResult } from "./query.ts";
import { refusedStatement } from "./refused-statement.ts";
import type { Session } from "./session.ts";
import { endOf, failScope, refusalOf, type Scope } from "./transaction-scope.ts";

/** The way to the session for everything that belongs to one transaction. */
export interface TransactionChannel {
  /** Where the queries of a scope go: to the session as long as the scope allows it. */
  dispatcher(scope: Scope): Dispatch;
  /** Sends one of our own statements as long as the scope lasts. */
  control(scope: Scope, text: string): Promise<QueryResult>;
  /** Another one with each call, to keep names apart. */
  nextNumber(): number;
}

export function createChannel(maker: Sql, session: Session): TransactionChannel {
  let number = 0;
  return {
    dispatcher: (scope) => (query) => {
      const end = endOf(scope);
      if (end !== undefined) {
        fail(query, end);
        return;
      }
      const refusal = refusalOf(scope) ?? refusedStatement(query);
      if (refusal !== undefined) {
        failScope(scope, refusal);
        fail(query, refusal);
        return;
      }
      session.send(query, (failure) => failure && failScope(scope, failure.error));
    },

    control: (scope, text) =>
      sendNow(maker, text, (query) => {
        const end = endOf(scope);
        if (end === undefined) session.send(query);
        else fail(query, end);
      }).answer,

    nextNumber() {
      number += 1;
      return number;
    },
  };
}

/** A statement of our own under way. */
export interface OwnStatement {
  readonly answer: Promise<QueryResult>;
  /** False as long as it certainly has not reached the server. */
  wasSent(): boolean;
}

/** Executes a statement of our own, without parameters. */
export function sendNow(maker: Sql, text: string, send: (query: Query) => void): OwnStatement {
  const query = asQuery(maker.unsafe(text));
  query.handler = send;
  return { answer: query.execute() as Promise<unknown> as Promise<QueryResult>, wasSent: () => query.state !== null };
}
