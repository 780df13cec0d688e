/**
 * What the session layer costs beside bare postgres.js: transactions (`select 1` and one insert) beside `sql.begin`, without
 * and with the first statement sent together with BEGIN, and single statements beside `sql`; one after the other and eight at
 * once. Rounds of both alternate; shown are the medians.
 *
 *     node --conditions=@pup/source packages/store-pg/bench/session.ts [rounds]
 */
import { createDatabase, startPostgres } from "@pup/testing/postgres";
import postgres, { type ISql } from "postgres";
import { createSessions } from "../src/session/create-sessions.ts";

const rounds = Number(process.argv[2] ?? 15);
const OPERATIONS = 2_000;

const server = await startPostgres();
const database = await createDatabase(server.url);

for (const concurrency of [1, 8]) {
  const bare = postgres(database.url, { max: concurrency, fetch_types: false, onnotice: () => undefined });
  const sessions = createSessions({
    connection: database.url,
    maxTransactions: concurrency,
    maxStatements: concurrency,
  });
  await bare`create unlogged table if not exists written (number int)`;

  const write = async (sql: ISql, number: number) => {
    await sql`select 1`;
    await sql`insert into written values (${number})`;
  };
  await compare(`transactions, ${concurrency} at once`, concurrency, {
    bare: (number) => bare.begin((sql) => write(sql, number)),
    ours: (number) => sessions.transaction(({ sql }) => write(sql, number)),
  });
  await compare(`transactions whose first statement travels with BEGIN, ${concurrency} at once`, concurrency, {
    bare: (number) => bare.begin((sql) => write(sql, number)),
    ours: (number) =>
      sessions.transaction(({ sql }) => sql`insert into written values (${number})`, {
        onBegin: async ({ sql }) => {
          await sql`select 1`;
          return undefined;
        },
      }),
  });
  await compare(`statements, ${concurrency} at once`, concurrency, {
    bare: (number) => bare`select ${number}::int`,
    ours: (number) => sessions.sql`select ${number}::int`,
  });
  await Promise.all([bare.end(), sessions.close()]);
}
await database.drop();
await server.close();

type Operation = (number: number) => PromiseLike<unknown>;

async function compare(title: string, concurrency: number, { bare, ours }: { bare: Operation; ours: Operation }) {
  const perSecond = { bare: [] as number[], ours: [] as number[], ratio: [] as number[] };
  await measure(concurrency, bare);
  await measure(concurrency, ours);
  for (let round = 0; round < rounds; round++) {
    // Who goes first takes turns as well.
    const first = round % 2 === 0 ? await measure(concurrency, bare) : await measure(concurrency, ours);
    const second = round % 2 === 0 ? await measure(concurrency, ours) : await measure(concurrency, bare);
    const [theirs, own] = round % 2 === 0 ? [first, second] : [second, first];
    perSecond.bare.push(theirs);
    perSecond.ours.push(own);
    perSecond.ratio.push(own / theirs);
  }
  const [theirs, own, ratio] = [perSecond.bare, perSecond.ours, perSecond.ratio].map(median);
  console.log(
    `${title}: postgres.js ${theirs?.toFixed(0)}/s, sessions ${own?.toFixed(0)}/s, ratio ${ratio?.toFixed(2)}`,
  );
}

async function measure(concurrency: number, operation: Operation): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const loop = async () => {
    while (next < OPERATIONS) await operation(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return OPERATIONS / ((performance.now() - startedAt) / 1000);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
