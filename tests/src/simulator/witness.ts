import type { BatchDeadLetters, GlobalPosition } from "@pup/core";
import type { MemoryStore } from "@pup/testing";
import type { CommittedBatch } from "./account.ts";
import { appliedIn } from "./effects.ts";
import type { Ledger } from "./ledger.ts";
import type { CuttableSession, Server } from "./server.ts";
import type { Report } from "./violation.ts";

/** Sees what reaches the server, of all workers. */
export interface Witness {
  /** Something may have changed since {@link Witness.takeNews} was asked last. */
  takeNews(): boolean;
  /** Puts the witness between a worker and the server. */
  watch(server: Server, who: WatchedWorker): Server;
}

/** A worker that is watched. */
export interface WatchedWorker {
  readonly name: string;
  readonly workerId: () => string;
}

/**
 * Creates the witness. It stands next to the server, behind every fault and most broken protections: what it sees is what
 * happened. It knows who may move a checkpoint, that each term is one session's, and what each batch has done.
 *
 * @param observer - a connection of its own
 */
export function createWitness(
  observer: MemoryStore,
  ledger: Pick<Ledger, "noteCreated" | "noteBatch">,
  report: Report,
): Witness {
  const leaderOfTerm = new Map<number, { readonly session: CuttableSession; readonly name: string }>();
  let lastAssignedTerm = 0;
  let news = true;

  /** An owner is checked while the row is locked, and counts when the batch commits. */
  async function ownerOf(consumer: string): Promise<string | null> {
    const [checkpoint] = await observer.readCheckpoints([consumer]);
    return checkpoint?.ownerId ?? null;
  }

  function noteTerm(session: CuttableSession, name: string, term: number): void {
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

  function watchSession(session: CuttableSession, { name }: WatchedWorker): CuttableSession {
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
        let done: CommittedBatch = { applied: [], put: [], resolved: [] };
        await told(
          server.runBatch(batch, async (tx, letters) => {
            owner = await ownerOf(batch.consumer);
            const watched = watchLetters(letters);
            await work(tx, watched.letters);
            done = { ...watched.done, applied: appliedIn(tx) };
          }),
        );
        if (owner !== who.workerId()) {
          report("I3", `${who.name} committed a batch of ${batch.consumer} up to ${batch.to}, which it does not own`);
        }
        ledger.noteBatch(batch.consumer, done);
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

/** Writes down what a batch does with dead letters. */
function watchLetters(letters: BatchDeadLetters) {
  const put: CommittedBatch["put"][number][] = [];
  const resolved: GlobalPosition[] = [];
  const watched: BatchDeadLetters = {
    ...letters,
    async put(given) {
      await letters.put(given);
      put.push(...given.map(({ event, parked }) => ({ position: event.globalPosition, parked })));
    },
    async resolve(position) {
      const found = await letters.resolve(position);
      if (found) resolved.push(position);
      return found;
    },
  };
  return { letters: watched, done: { put, resolved } };
}
