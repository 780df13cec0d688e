import type { ControlSession, WorkerStore } from "@pup/core";
import type { MemoryStore, MemoryTransaction } from "@pup/testing";
import type { Ledger } from "./ledger.ts";
import type { Report } from "./violation.ts";

/** Sees what reaches the server, of all workers. */
export interface Witness {
  /** Something may have changed since {@link Witness.takeNews} was asked last. */
  takeNews(): boolean;
  /** Puts the witness between a worker and the server. */
  watch(server: WorkerStore<MemoryTransaction>, who: WatchedWorker): WorkerStore<MemoryTransaction>;
}

/** A worker that is watched. */
export interface WatchedWorker {
  readonly name: string;
  readonly workerId: () => string;
}

/**
 * Creates the witness. It stands next to the server, behind every fault and every broken protection: what it sees is what
 * happened. It knows who may move a checkpoint, and that each term is one session's.
 *
 * @param observer - a connection of its own
 */
export function createWitness(observer: MemoryStore, ledger: Pick<Ledger, "noteCreated">, report: Report): Witness {
  const leaderOfTerm = new Map<number, { readonly session: ControlSession; readonly name: string }>();
  let lastAssignedTerm = 0;
  let news = true;

  /** An owner is checked while the row is locked, and counts when the batch commits. */
  async function ownerOf(consumer: string): Promise<string | null> {
    const [checkpoint] = await observer.readCheckpoints([consumer]);
    return checkpoint?.ownerId ?? null;
  }

  function noteTerm(session: ControlSession, name: string, term: number): void {
    const leader = leaderOfTerm.get(term);
    if (leader && leader.session !== session) report("I3", `term ${term} is led by ${leader.name} and by ${name}`);
    leaderOfTerm.set(term, { session, name });
  }

  const told = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } finally {
      news = true;
    }
  };

  function watchSession(session: ControlSession, { name }: WatchedWorker): ControlSession {
    return {
      ...session,
      lost: session.lost,
      async assign(leadership, plan) {
        const written = await session.assign(leadership, plan);
        if (!written) return false;
        noteTerm(session, name, leadership.term);
        if (leadership.term < lastAssignedTerm) {
          report("I3", `${name} wrote assignments of term ${leadership.term} after those of term ${lastAssignedTerm}`);
        }
        lastAssignedTerm = leadership.term;
        return true;
      },
    };
  }

  return {
    takeNews() {
      const had = news;
      news = false;
      return had;
    },
    watch: (server, who) => ({
      ...server,
      async runBatch(batch, work) {
        let owner: string | null = null;
        await told(
          server.runBatch(batch, async (tx, letters) => {
            owner = await ownerOf(batch.consumer);
            await work(tx, letters);
          }),
        );
        if (owner !== who.workerId()) {
          report("I3", `${who.name} committed a batch of ${batch.consumer} up to ${batch.to}, which it does not own`);
        }
      },
      acquire: (request) => told(server.acquire(request)),
      advance: (advances) => told(server.advance(advances)),
      release: (owned) => told(server.release(owned)),
      async createCheckpoint(consumer, position) {
        await told(server.createCheckpoint(consumer, position));
        ledger.noteCreated(consumer, position);
      },
      openControlSession: async (options) => watchSession(await server.openControlSession(options), who),
    }),
  };
}
