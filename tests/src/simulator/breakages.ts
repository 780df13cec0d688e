import type { WorkerOptions } from "@pup/coordinator";
import type { BatchDeadLetters, Dispatcher, Leadership } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { Network } from "./network.ts";
import type { FaultRates } from "./scenario.ts";
import type { CuttableSession, Server } from "./server.ts";

/** A protection taken out, to show that the simulator would notice. */
export interface Breakage {
  /** What workers are given instead of the server. @defaultValue the server as it is */
  readonly server?: (server: Server, connection: MemoryStore) => Server;
  /** The server itself without one of its checks: the witness still sees what it is asked for, and what comes of it. */
  readonly database?: (connection: MemoryStore) => Server;
  /** What wakes workers instead of their dispatcher. @defaultValue the dispatcher as it is */
  readonly dispatcher?: (dispatcher: Dispatcher, network: Network) => Dispatcher;
  readonly options?: Partial<WorkerOptions>;
  readonly rates?: Partial<FaultRates>;
}

/** Protections that can be taken out; each call makes a new one, for one run. */
export const breakages = {
  /** Holes in the log are not waited for. */
  settled: () => ({
    server: (server) => ({
      ...server,
      inFlightAppenders: async () => ({ ...(await server.inFlightAppenders()), appenders: [] }),
    }),
  }),

  /** A page that was cut at its limit says that it reaches as far as was asked. */
  "page-cut": () => ({
    server: (server) => ({
      ...server,
      readLog: async (request) => ({ ...(await server.readLog(request)), through: request.upTo }),
    }),
  }),

  /** Batches commit whoever owns the consumer, and wherever its checkpoint stands. */
  fence: () => ({
    server: (server, connection) => ({
      ...server,
      async runBatch(batch, work) {
        const [checkpoint] = await connection.readCheckpoints([batch.consumer]);
        const { epoch, position } = checkpoint ?? { epoch: batch.epoch, position: batch.from };
        await server.runBatch({ ...batch, epoch, from: position }, work);
      },
    }),
  }),

  /** A take-over raises no epoch: all owners have the same one. */
  epoch: () => ({ server: withoutEpochs }),

  /** Everybody who stands for election wins it, and may assign. */
  "two-leaders": () => {
    const leading = { session: null as CuttableSession | null, term: 1 };
    return { database: (connection) => withElection(connection, leading, () => ({ term: leading.term })) };
  },

  /** A lease that has run out is used as if it lasted, also when somebody else has taken it. */
  "lease-expiry": () => {
    const leading = { session: null as CuttableSession | null, term: 1 };
    return { database: (connection) => withElection(connection, leading, (last) => last) };
  },

  /** A wake-up that comes during a look at the log is forgotten, and nobody looks again by himself. */
  "lost-wakeup": () => ({
    dispatcher: (dispatcher, network) => ({
      ...dispatcher,
      start: (context) =>
        dispatcher.start({
          ...context,
          wake: () => {
            if (!network.isWaitingFor("scanPositions")) context.wake();
          },
        }),
    }),
    options: { pollIntervalMs: 3_600_000, maxPollIntervalMs: 3_600_000 },
    rates: { lostSignal: 0 },
  }),

  /** The checkpoint commits first, and the effects by themselves afterwards. */
  "checkpoint-before-effects": () => ({
    server: (server, connection) => ({
      ...server,
      async runBatch(batch, work) {
        let letters: Parameters<typeof work>[1] | undefined;
        await server.runBatch(batch, async (_, given) => {
          letters = given;
        });
        await connection.transaction((tx) => work(tx, letters as NonNullable<typeof letters>));
      },
    }),
  }),

  /** Dead letters are not written. */
  "dead-letter-lost": () => ({ server: withLetters((letters) => ({ ...letters, put: async () => undefined })) }),

  /** Dead letters that were handled after all stay where they are. */
  "dead-letter-kept": () => ({
    server: withLetters((letters, isStanding) => ({ ...letters, resolve: isStanding })),
  }),

  /** Nobody looks whether an aggregate is parked. */
  "parked-order": () => ({ server: withLetters((letters) => ({ ...letters, parkedAmong: async () => null })) }),
} satisfies Record<string, () => Breakage>;

export type BreakageName = keyof typeof breakages;

/** Gives batches other dead letters. */
function withLetters(
  change: (letters: BatchDeadLetters, isStanding: (position: bigint) => Promise<boolean>) => BatchDeadLetters,
): NonNullable<Breakage["server"]> {
  return (server, connection) => ({
    ...server,
    runBatch: (batch, work) =>
      server.runBatch(batch, async (tx, letters) => {
        const { consumer } = batch;
        const isStanding = async (position: bigint) =>
          (await connection.listDeadLetters({ consumer })).some((letter) => letter.position === position);
        await work(tx, change(letters, isStanding));
      }),
  });
}

/**
 * Lets whoever believes to lead write its assignments, through the session that really leads.
 *
 * @param claim - what a session that is not elected believes, given what it was last
 */
function withElection(
  connection: MemoryStore,
  leading: { session: CuttableSession | null; term: number },
  claim: (last: Leadership | null) => Leadership | null,
): Server {
  return {
    ...connection,
    async openControlSession(options) {
      const session = await connection.openControlSession(options);
      const { election } = session;
      let last: Leadership | null = null;
      return {
        ...session,
        lost: session.lost,
        election: {
          ...election,
          async tick() {
            const won = await election.tick();
            if (won) Object.assign(leading, { session, term: won.term });
            last = won ?? claim(last);
            return last;
          },
        },
        assign: async (_, plan) => (await leading.session?.assign({ term: leading.term }, plan)) ?? false,
      };
    },
  };
}

/** Translates the one epoch that workers are shown into whichever is the present one. */
function withoutEpochs(server: Server, connection: MemoryStore): Server {
  const presentEpoch = async (consumer: string) => (await connection.readCheckpoints([consumer]))[0]?.epoch ?? 0;
  const translate = async <Owned extends { readonly consumer: string }>(owned: readonly Owned[]) =>
    Promise.all(owned.map(async (one) => ({ ...one, epoch: await presentEpoch(one.consumer) })));
  return {
    ...server,
    async readCheckpoints(consumers) {
      return (await server.readCheckpoints(consumers)).map((checkpoint) => ({ ...checkpoint, epoch: 1 }));
    },
    async acquire(request) {
      const answer = await server.acquire(request);
      return answer.outcome === "acquired" ? { ...answer, epoch: 1 } : answer;
    },
    advance: async (advances) => server.advance(await translate(advances)),
    release: async (owned) => server.release(await translate(owned)),
    runBatch: async (batch, work) => server.runBatch({ ...batch, epoch: await presentEpoch(batch.consumer) }, work),
  };
}
