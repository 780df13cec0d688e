import type { WorkerOptions } from "@pup/coordinator";
import type { ControlSession, Dispatcher, Leadership, WorkerStore } from "@pup/core";
import type { MemoryStore, MemoryTransaction } from "@pup/testing";
import type { Network } from "./network.ts";
import type { FaultRates } from "./scenario.ts";

/** A protection taken out, to show that the simulator would notice. */
export interface Breakage {
  /** What workers are given instead of the server. @defaultValue the server as it is */
  readonly server?: (server: WorkerStore<MemoryTransaction>, connection: MemoryStore) => WorkerStore<MemoryTransaction>;
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

  /** Everybody who stands for election wins it. */
  "two-leaders": () => {
    let term = 1;
    return {
      server: (server) => ({
        ...server,
        openControlSession: async (options) =>
          withoutElection(await server.openControlSession(options), (won) => {
            term = Math.max(term, won?.term ?? 0);
            return { term };
          }),
      }),
    };
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
} satisfies Record<string, () => Breakage>;

export type BreakageName = keyof typeof breakages;

/** Translates the one epoch that workers are shown into whichever is the present one. */
function withoutEpochs(
  server: WorkerStore<MemoryTransaction>,
  connection: MemoryStore,
): WorkerStore<MemoryTransaction> {
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

function withoutElection(session: ControlSession, decide: (won: Leadership | null) => Leadership): ControlSession {
  const { election } = session;
  return { ...session, lost: session.lost, election: { ...election, tick: async () => decide(await election.tick()) } };
}
