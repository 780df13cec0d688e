import { UnsupportedError } from "@pup/core";
import type { ISql, Sql } from "postgres";
import { type Alarm, createAlarm } from "./alarm.ts";
import { createSql } from "./create-sql.ts";
import type { EndBackend } from "./end-backend.ts";
import { fail, type Query } from "./query.ts";
import { refusedStatement } from "./refused-statement.ts";
import type { Session } from "./session.ts";
import { StatementTimeoutError } from "./session-errors.ts";
import type { SessionPool } from "./session-pool.ts";

/** `sql` for single statements, each a transaction of its own. */
export type StatementSql = ISql;

export interface StatementsOptions {
  readonly maker: Sql;
  readonly pool: SessionPool;
  readonly timeoutMs: number;
  readonly endBackend: EndBackend;
}

/**
 * Single statements, one at a time on each session: none waits behind another on the server, and none shares another's
 * fate. Nothing is tried again.
 */
export function createStatements({ maker, pool, timeoutMs, endBackend }: StatementsOptions): StatementSql {
  const alarms = new WeakMap<Session, Alarm>();

  function dispatch(query: Query): void {
    const refusal = refusedStatement(query);
    if (refusal !== undefined) {
      fail(query, refusal);
      return;
    }
    const session = pool.take();
    if (session !== undefined) run(session, query);
    else
      pool.wait().then(
        (waited) => run(waited, query),
        (error: unknown) => fail(query, error),
      );
  }

  function run(session: Session, query: Query): void {
    const alarm = alarmOf(session);
    alarm.arm();
    session.send(query, () => {
      alarm.disarm();
      pool.release(session);
    });
  }

  function alarmOf(session: Session): Alarm {
    const existing = alarms.get(session);
    if (existing !== undefined) return existing;
    const alarm = createAlarm(timeoutMs, () => void endBackend(session, new StatementTimeoutError(timeoutMs)));
    session.watch(alarm.dispose);
    alarms.set(session, alarm);
    return alarm;
  }

  return createSql(maker, dispatch, refuseCursor);
}

function refuseCursor(): never {
  throw new UnsupportedError("A cursor lives in a transaction: use the transaction's `sql`.");
}
