import type { CapableWorker } from "./coordination.ts";

/** A deal while it is made. Everything in it is in name order, so that the outcome depends on the arguments only. */
interface Dealing {
  /** Who could have a consumer. */
  readonly workersOf: ReadonlyMap<string, readonly string[]>;
  /** Who has it. */
  readonly ownerOf: Map<string, string>;
  /** What each worker has. */
  readonly hands: ReadonlyMap<string, Set<string>>;
}

/**
 * Deals consumers out among workers: names sorted, workers sorted, round-robin over those that have the consumer's code.
 * Counts differ by at most one wherever the code allows it, and are as even as possible where it does not; who comes too late
 * for a consumer stands by. Consumers that no worker has are left out.
 *
 * The answer depends on the arguments only, not on their order.
 *
 * @param previous - the deal so far, to move as few consumers as possible; leave it out for plain round-robin
 */
export function assignConsumers(
  workers: readonly CapableWorker[],
  previous: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const dealing = beginDealing(workers);
  const consumers = [...dealing.workersOf.keys()].sort(compare);
  for (const consumer of consumers) {
    const before = previous.get(consumer);
    if (before !== undefined && workersOf(dealing, consumer).includes(before)) give(dealing, consumer, before);
  }
  for (const consumer of consumers) {
    if (!dealing.ownerOf.has(consumer)) give(dealing, consumer, leastLoaded(dealing, workersOf(dealing, consumer)));
  }
  levelOut(dealing);
  return new Map([...dealing.ownerOf].sort(([a], [b]) => compare(a, b)));
}

function beginDealing(workers: readonly CapableWorker[]): Dealing {
  const workersOf = new Map<string, string[]>();
  const hands = new Map<string, Set<string>>();
  for (const { workerId, consumers } of workers.toSorted((a, b) => compare(a.workerId, b.workerId))) {
    hands.set(workerId, new Set());
    for (const consumer of new Set(consumers)) {
      const capable = workersOf.get(consumer);
      if (capable) capable.push(workerId);
      else workersOf.set(consumer, [workerId]);
    }
  }
  return { workersOf, ownerOf: new Map(), hands };
}

function give({ ownerOf, hands }: Dealing, consumer: string, workerId: string): void {
  hands.get(ownerOf.get(consumer) ?? "")?.delete(consumer);
  hands.get(workerId)?.add(consumer);
  ownerOf.set(consumer, workerId);
}

/**
 * Moves consumers from a worker to one that has at least two fewer, directly or along a chain (this one's consumer to a second
 * worker, one of the second's to a third), until no such chain is left: then no deal is more even.
 */
function levelOut(dealing: Dealing): void {
  const cannotGive = new Set<string>();
  for (;;) {
    const from = fullest(dealing, cannotGive);
    if (from === null) return;
    const { chain, reached } = shortestChain(dealing, from);
    for (const [consumer, to] of chain ?? []) give(dealing, consumer, to);
    // From where no worker with fewer can be reached, none of those on the way can reach one either. Nor later: who comes after
    // has no more than they, so that whatever it gives away ends elsewhere.
    for (const workerId of reached) cannotGive.add(workerId);
  }
}

/** The worker with the most, if somebody has at least two fewer. */
function fullest({ hands }: Dealing, except: ReadonlySet<string>): string | null {
  let [most, least] = [-1, Number.POSITIVE_INFINITY];
  let found: string | null = null;
  for (const [workerId, { size }] of hands) {
    if (size < least) least = size;
    if (size > most && !except.has(workerId)) [most, found] = [size, workerId];
  }
  return most - least < 2 ? null : found;
}

/** Looks for the shortest chain to a worker that has at least two fewer than `from`; tells who can be reached at all. */
function shortestChain(
  dealing: Dealing,
  from: string,
): { readonly chain: readonly [consumer: string, to: string][] | null; readonly reached: Iterable<string> } {
  const fewEnough = load(dealing, from) - 2;
  const cameBy = new Map<string, { consumer: string; via: string } | null>([[from, null]]);
  for (const via of cameBy.keys()) {
    for (const consumer of dealing.hands.get(via) ?? []) {
      const next = workersOf(dealing, consumer).filter((workerId) => !cameBy.has(workerId));
      for (const workerId of next) cameBy.set(workerId, { consumer, via });
      const to = next.length > 0 ? leastLoaded(dealing, next) : null;
      if (to !== null && load(dealing, to) <= fewEnough) return { chain: chainTo(to, cameBy), reached: [] };
      if (cameBy.size === dealing.hands.size) return { chain: null, reached: cameBy.keys() };
    }
  }
  return { chain: null, reached: cameBy.keys() };
}

function chainTo(
  last: string,
  cameBy: ReadonlyMap<string, { consumer: string; via: string } | null>,
): [consumer: string, to: string][] {
  const chain: [string, string][] = [];
  for (let to = last, step = cameBy.get(to); step; to = step.via, step = cameBy.get(to))
    chain.unshift([step.consumer, to]);
  return chain;
}

/** The first of those with the fewest. */
function leastLoaded(dealing: Dealing, workerIds: readonly string[]): string {
  return workerIds.reduce((best, workerId) => (load(dealing, workerId) < load(dealing, best) ? workerId : best));
}

function load({ hands }: Dealing, workerId: string): number {
  return hands.get(workerId)?.size ?? 0;
}

function workersOf({ workersOf }: Dealing, consumer: string): readonly string[] {
  return workersOf.get(consumer) ?? [];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
