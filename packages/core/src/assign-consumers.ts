import type { CapableWorker } from "./coordination.ts";

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
  const workersOf = new Map<string, string[]>();
  const load = new Map<string, number>();
  for (const { workerId, consumers } of [...workers].sort((a, b) => compare(a.workerId, b.workerId))) {
    load.set(workerId, 0);
    for (const consumer of new Set(consumers)) {
      const capable = workersOf.get(consumer);
      if (capable) capable.push(workerId);
      else workersOf.set(consumer, [workerId]);
    }
  }

  const deal = new Map<string, string>();
  const give = (consumer: string, workerId: string) => {
    const before = deal.get(consumer);
    if (before !== undefined) load.set(before, loadOf(load, before) - 1);
    deal.set(consumer, workerId);
    load.set(workerId, loadOf(load, workerId) + 1);
  };

  const consumers = [...workersOf.keys()].sort(compare);
  for (const consumer of consumers) {
    const before = previous.get(consumer);
    if (before !== undefined && workersOf.get(consumer)?.includes(before)) give(consumer, before);
  }
  for (const consumer of consumers) {
    const capable = workersOf.get(consumer);
    if (capable && !deal.has(consumer)) give(consumer, leastLoaded(capable, load));
  }
  levelOut(deal, load, workersOf, give);
  return new Map([...deal].sort(([a], [b]) => compare(a, b)));
}

/**
 * Moves consumers along chains (this one's consumer to a second worker, one of the second's to a third) from a worker to one
 * that has at least two fewer, until no such chain is left: then no deal is more even.
 */
function levelOut(
  deal: ReadonlyMap<string, string>,
  load: ReadonlyMap<string, number>,
  workersOf: ReadonlyMap<string, readonly string[]>,
  give: (consumer: string, workerId: string) => void,
): void {
  const byLoad = () => [...load.keys()].sort((a, b) => loadOf(load, b) - loadOf(load, a) || compare(a, b));
  const leastLoad = () => Math.min(...load.values());

  for (let moved = true; moved; ) {
    moved = false;
    for (const from of byLoad()) {
      if (loadOf(load, from) - leastLoad() < 2) break;
      const chain = shortestChain(from, deal, load, workersOf);
      if (!chain) continue;
      for (const [consumer, to] of chain) give(consumer, to);
      moved = true;
      break;
    }
  }
}

function shortestChain(
  from: string,
  deal: ReadonlyMap<string, string>,
  load: ReadonlyMap<string, number>,
  workersOf: ReadonlyMap<string, readonly string[]>,
): [consumer: string, to: string][] | null {
  const dealt = new Map<string, string[]>();
  for (const consumer of [...deal.keys()].sort(compare)) {
    const worker = deal.get(consumer) as string;
    dealt.set(worker, [...(dealt.get(worker) ?? []), consumer]);
  }

  const reachedBy = new Map<string, { consumer: string; via: string } | null>([[from, null]]);
  const queue = [from];
  for (const via of queue) {
    for (const consumer of dealt.get(via) ?? []) {
      for (const to of workersOf.get(consumer) ?? []) {
        if (reachedBy.has(to)) continue;
        reachedBy.set(to, { consumer, via });
        if (loadOf(load, to) <= loadOf(load, from) - 2) return chainTo(to, reachedBy);
        queue.push(to);
      }
    }
  }
  return null;
}

function chainTo(
  last: string,
  reachedBy: ReadonlyMap<string, { consumer: string; via: string } | null>,
): [consumer: string, to: string][] {
  const chain: [string, string][] = [];
  for (let to = last, step = reachedBy.get(to); step; to = step.via, step = reachedBy.get(to))
    chain.unshift([step.consumer, to]);
  return chain;
}

function leastLoaded(capable: readonly string[], load: ReadonlyMap<string, number>): string {
  return capable.reduce((best, workerId) => (loadOf(load, workerId) < loadOf(load, best) ? workerId : best));
}

function loadOf(load: ReadonlyMap<string, number>, workerId: string): number {
  return load.get(workerId) ?? 0;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
