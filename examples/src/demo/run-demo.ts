import { createDatabase, startPostgres } from "@pup/testing/postgres";
import postgres from "postgres";
import type { DemoArguments } from "./arguments.ts";
import { keepShowing } from "./display/keep-showing.ts";
import type { Display } from "./display/status.ts";
import { describeFleet } from "./fleet/describe-fleet.ts";
import { createFleet } from "./fleet/fleet.ts";
import { observe } from "./fleet/observe.ts";
import { createProducer } from "./fleet/producer.ts";
import { orAborted } from "./or-aborted.ts";
import { prepareDatabase } from "./prepare-database.ts";
import { runScenario } from "./scenario/run-scenario.ts";
import { shopConsumers } from "./shop/consumers/index.ts";
import { type Judgement, judge } from "./verdict/judge.ts";

/** What the demo has shown. */
export interface DemoOutcome extends Judgement {
  /** Worker processes that took part. */
  readonly workers: number;
  /** From the kill of a worker until others had gone on with all that it ran, in milliseconds. */
  readonly failoverMs: number;
  /** Events that were appended and rolled back. */
  readonly rolledBack: number;
  /** Appends that were refused because somebody else was faster. */
  readonly conflicts: number;
}

/**
 * Runs the demo on a PostgreSQL server of its own, and leaves nothing behind, however it ends.
 *
 * @param signal - ends it early: rejects with the signal's reason
 * @throws {@link DemoFailure} when something happens that must not
 */
export async function runDemo(options: DemoArguments, display: Display, signal: AbortSignal): Promise<DemoOutcome> {
  // As in production: the default, for tests, is faster.
  const server = await startPostgres({ settings: { fsync: true } });
  try {
    const database = await createDatabase(server.url);
    try {
      return await runOnDatabase(database.url, options, display, signal);
    } finally {
      await database.drop();
    }
  } finally {
    await server.close();
  }
}

async function runOnDatabase(
  databaseUrl: string,
  { seconds, dispatcher }: DemoArguments,
  display: Display,
  interrupted: AbortSignal,
): Promise<DemoOutcome> {
  const ending = new AbortController();
  const signal = AbortSignal.any([interrupted, ending.signal]);
  const fail = (reason: unknown) => ending.abort(reason);

  const sql = postgres(databaseUrl, { max: 3, onnotice: () => undefined });
  const fleet = createFleet({ databaseUrl, dispatcher, onCrash: fail });
  const producer = createProducer({ databaseUrl, dispatcher, onCrash: fail });
  let happening = "";
  const look = async () => describeFleet(fleet, producer, await observe(sql), happening);
  const stage = {
    sql,
    fleet,
    producer,
    consumers: shopConsumers.map(({ name }) => name),
    signal,
    tell: display.tell,
    doing: (text: string) => {
      happening = text;
    },
  };

  try {
    return await orAborted(signal, async () => {
      const { version } = await prepareDatabase(sql, databaseUrl);
      display.tell(`PostgreSQL ${version} runs; workers are woken by ${dispatcher}`);
      const stopShowing = keepShowing({ display, look, onError: fail, signal });
      const { failoverMs } = await runScenario(stage, seconds);
      stopShowing();
      display.tell("the workers stopped; everything is compared with the log");
      const judgement = await judge(sql, shopConsumers, producer.account);
      return {
        ...judgement,
        workers: fleet.workers.length,
        failoverMs,
        rolledBack: producer.account.rolledBack.size,
        conflicts: producer.conflicts,
      };
    });
  } finally {
    // Ends what still waits or shows.
    ending.abort();
    await Promise.all([fleet.kill(), producer.kill()]);
    await sql.end({ timeout: 1 });
  }
}
