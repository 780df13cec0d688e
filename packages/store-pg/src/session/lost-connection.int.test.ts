import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  backendPid,
  deferred,
  expectNoCrash,
  type LabTables,
  openSessionLab,
  outcomeOf,
  type SessionLab,
} from "../test-support/session-lab.ts";
import type { Sessions } from "./create-sessions.ts";
import type { PgTransaction } from "./transaction-facade.ts";

/** What a handler does while its backend dies, given the means to kill it. Row 1 is written already. */
type Tx = PgTransaction<LabTables>;
type Handler = (tx: Tx, kill: () => Promise<void>) => Promise<unknown>;

const never = new Promise<never>(() => undefined);

const handlers: Record<string, Handler> = {
  "is killed while its statement runs": async (tx, kill) => {
    void kill();
    await tx.sql`select pg_sleep(20)`;
  },
  "is killed while idle, and then queries": async (tx, kill) => {
    await kill();
    await tx.sql`insert into halves values (1, 2)`;
  },
  "is killed while idle, and then returns": async (_, kill) => {
    await kill();
    return "well done";
  },
  "is killed while idle, and then throws": async (_, kill) => {
    await kill();
    throw new Error("the handler's own");
  },
  "queries at once while it is killed": async (tx, kill) => {
    const killed = kill();
    await tx.sql`insert into halves values (1, 2)`;
    await killed;
  },
  "is killed in the middle of fifty pipelined statements": async (tx, kill) => {
    void kill();
    await Promise.all(Array.from({ length: 50 }, () => tx.sql`select pg_sleep(0.02)`));
  },
  "is killed with more statements waiting than postgres.js sends at once": async (tx, kill) => {
    void kill();
    const inserts = Array.from({ length: 300 }, (_, half) => tx.sql`insert into halves values (1, ${half})`);
    await Promise.all([tx.sql`select pg_sleep(20)`, ...inserts]);
  },
  "never settles after it is killed": async (_, kill) => {
    await kill();
    await never;
  },
  "catches the failed statement and returns": async (tx, kill) => {
    void kill();
    await tx.sql`select pg_sleep(20)`.catch(() => undefined);
    return "well done";
  },
  "catches the failed statement and sends another": async (tx, kill) => {
    void kill();
    await tx.sql`select pg_sleep(20)`.catch(() => undefined);
    await tx.sql`insert into halves values (1, 2)`;
  },
  "catches each failed statement and goes on": async (tx, kill) => {
    await kill();
    for (let half = 2; half < 20; half++) await tx.sql`insert into halves values (1, ${half})`.catch(() => undefined);
    return "well done";
  },
  "awaits a statement that it made before it was killed": async (tx, kill) => {
    const early = tx.sql`insert into halves values (1, 2)`;
    await kill();
    await early;
  },
  "executes statements without awaiting them": async (tx, kill) => {
    const killed = kill();
    for (let half = 2; half < 20; half++) tx.sql`insert into halves values (1, ${half})`.execute();
    await killed;
  },
  "leaves a cursor when it is killed": async (tx, kill) => {
    for await (const rows of tx.sql`select generate_series(1, 100)`.cursor(10)) {
      await kill();
      if (rows.length === 10) break;
    }
  },
  "reads a cursor on when it is killed": async (tx, kill) => {
    for await (const _ of tx.sql`select generate_series(1, 100)`.cursor(10)) await kill();
  },
  "throws out of a cursor when it is killed": async (tx, kill) => {
    await tx.sql`select generate_series(1, 100)`.cursor(10, async () => {
      await kill();
      throw new Error("the handler's own");
    });
  },
};

const transactionalWays: Record<string, (tx: Tx, body: (tx: Tx) => Promise<unknown>) => unknown> = {
  "by itself": (tx, body) => body(tx),
  "in a savepoint": (tx, body) => tx.savepoint(body),
  "in a savepoint that the handler catches": (tx, body) => tx.savepoint(body).catch(() => "caught"),
};

describe("A transaction whose backend is killed", () => {
  let lab: SessionLab;
  beforeAll(async () => {
    lab = await openSessionLab();
    await lab.admin`create table halves (run int, half int)`;
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.admin`truncate halves`;
  });

  async function expectToWorkAfterwards(sessions: Sessions<LabTables>, connections: number): Promise<void> {
    const runs = Array.from({ length: connections * 3 }, (_, index) => 100 + index);
    await Promise.all(
      runs.map((run) =>
        sessions.transaction(async (tx) => {
          await tx.sql`insert into halves values (${run}, 1)`;
          await tx.sql`select pg_sleep(0.002)`;
          await tx.sql`insert into halves values (${run}, 2)`;
        }),
      ),
    );
    await expect(sessions.sql`select 1 as one`).resolves.toEqual([{ one: 1 }]);
    const rows = await lab.admin`select run, count(*)::int as halves from halves group by run order by run`;
    expect(rows).toEqual(runs.map((run) => ({ run, halves: 2 })));
  }

  describe.each([1, 3])("with %i connections", (connections) => {
    describe.each(Object.keys(transactionalWays))("%s", (way) => {
      it.each(Object.keys(handlers))("leaves nothing behind when its handler %s", async (name) => {
        expectNoCrash();
        const sessions = lab.open({ maxTransactions: connections, maxStatements: connections });

        const outcome = await outcomeOf(
          sessions.transaction(async (tx) => {
            const pid = await backendPid(tx.sql);
            return transactionalWays[way]?.(tx, async (inner) => {
              await inner.sql`insert into halves values (1, 1)`;
              return handlers[name]?.(inner, () => lab.kill(pid));
            });
          }),
        );

        // Which one depends on whether the news is here already when the handler ends.
        expect(outcome).toBeOneOf(["PUP_CONNECTION_LOST", "PUP_COMMIT_UNKNOWN", "the handler's own"]);
        await expectToWorkAfterwards(sessions, connections);
      });
    });

    it.each([
      ["return", async () => "well done"],
      [
        "throw",
        async () => {
          throw new Error("the handler's own");
        },
      ],
      ["write", (tx: Tx) => tx.sql`insert into halves values (1, 2)`],
      ["write in a savepoint", (tx: Tx) => tx.savepoint((sp) => sp.sql`insert into halves values (1, 2)`)],
      ["write through Kysely", (tx: Tx) => tx.db.insertInto("halves").values({ run: 1, half: 2 }).execute()],
    ] as [string, Handler][])(
      "does not touch the next transaction when its handler goes on late to %s",
      async (_, late) => {
        expectNoCrash();
        const sessions = lab.open({ maxTransactions: connections });
        const [nextIsOpen, zombieIsDone] = [deferred(), deferred()];

        const zombie = sessions.transaction(async (tx) => {
          await tx.sql`insert into halves values (1, 1)`;
          await lab.kill(await backendPid(tx.sql));
          await nextIsOpen.promise;
          try {
            return await late(tx, async () => undefined);
          } finally {
            zombieIsDone.resolve();
          }
        });
        await expect(zombie).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
        await sessions.transaction(async (tx) => {
          await tx.sql`insert into halves values (7, 1)`;
          nextIsOpen.resolve();
          await zombieIsDone.promise;
          // Whatever the zombie set off has had time to reach the server before this.
          await tx.sql`select pg_sleep(0.05)`;
          await tx.sql`insert into halves values (7, 2)`;
        });

        expect(await lab.admin`select run, half from halves order by half`).toEqual([
          { run: 7, half: 1 },
          { run: 7, half: 2 },
        ]);
        await lab.admin`truncate halves`;
        await expectToWorkAfterwards(sessions, connections);
      },
    );
  });

  it("says at once that it is lost, also while its handler waits for something else", async () => {
    const sessions = lab.open();
    const pid = deferred<number>();

    const transaction = sessions.transaction(async (tx) => {
      pid.resolve(await backendPid(tx.sql));
      await never;
    });
    void lab.kill(await pid.promise);

    await expect(transaction).rejects.toMatchObject({ code: "PUP_CONNECTION_LOST" });
  });

  it("gives statements of its handle the same error as the transaction", async () => {
    const sessions = lab.open();
    const seen: unknown[] = [];

    await outcomeOf(
      sessions.transaction(async (tx) => {
        void lab.kill(await backendPid(tx.sql));
        for (let i = 0; i < 2; i++) seen.push(await outcomeOf(tx.sql`select pg_sleep(20)`));
      }),
    );

    await expect.poll(() => seen).toEqual(["PUP_CONNECTION_LOST", "PUP_CONNECTION_LOST"]);
  });
});
