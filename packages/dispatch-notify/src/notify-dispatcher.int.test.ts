import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { systemClock, systemRandomness } from "@pup/core";
import { dispatcherContract } from "@pup/testing/contracts";
import { createDatabase, startTcpProxy, type TestDatabase } from "@pup/testing/postgres";
import postgres from "postgres";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { createNotifyDispatcher } from "./notify-dispatcher.ts";

describe("Notify dispatcher", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"));
  });
  afterAll(() => database.drop());

  dispatcherContract(async () => {
    const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
    const proxy = await startTcpProxy(database.url);
    const channel = `pup_${randomUUID()}`;
    let position = 0n;
    let cutOff = false;
    return {
      dispatcher: createNotifyDispatcher({ connection: proxy.url, channel, notifyHeartbeatMs: 200 }),
      clock: systemClock,
      random: systemRandomness,
      async latestPosition() {
        if (cutOff) throw new Error("cut off");
        return position;
      },
      async commitEvent() {
        position += 1n;
        await sql.notify(channel, "events");
      },
      async sendControl(signal) {
        await sql.notify(channel, signal);
      },
      async cut() {
        cutOff = true;
        await proxy.setListening(false);
      },
      async restore() {
        cutOff = false;
        await proxy.setListening(true);
      },
      elapse: (durationMs) => wait(durationMs),
      async countOpen() {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::int as count from pg_stat_activity
          where application_name = 'pup notify' and datname = current_database()`;
        return row?.count ?? 0;
      },
      async dispose() {
        await sql.end();
        await proxy.close();
      },
    };
  });
});
