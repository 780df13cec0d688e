import { createEvents, type EventSource } from "@pup/core";
import type { MemorySignals, MemoryStore } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { FaultRates } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Weather } from "./weather.ts";

/** Longest delay of a notification, in milliseconds. */
const LATEST_MS = 20_000;

/** What a process hears of the server. */
export interface SignalRelay {
  readonly signals: EventSource<MemorySignals>;
  /** Listens no more. */
  end(): void;
}

/** Passes notifications on to one process: some get lost, some come late, some twice, and none while it stands still. */
export function relaySignals(
  { signals }: Pick<MemoryStore, "signals">,
  process: SimulatedProcess,
  rates: FaultRates,
  weather: Weather,
  chance: Chance,
): SignalRelay {
  const relayed = createEvents<MemorySignals>();

  const end = signals.onAny((name, payload) => {
    const deliver = () => void process.pass().then(() => relayed.emit(name, payload));
    // Whether the server is there shows on the connection itself, which tells nobody twice.
    const isHint = name === "signal:events" || name === "signal:control";
    if (!isHint || !weather.isRough) return deliver();
    if (chance.happens(rates.lostSignal)) return;
    if (chance.happens(rates.lateSignal)) weather.time.after(chance.between(0, LATEST_MS), deliver);
    else deliver();
    if (chance.happens(rates.repeatedSignal)) weather.time.after(chance.between(0, LATEST_MS), deliver);
  });
  return { signals: relayed, end };
}
