import { createEvents, type EventSource } from "@pup/core";
import type { MemorySignals, MemoryStore } from "@pup/testing";
import type { Chance } from "./chance.ts";
import type { FaultRates } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Tally } from "./tally.ts";
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
  tally: Tally,
): SignalRelay {
  const relayed = createEvents<MemorySignals>();

  const end = signals.onAny((name, payload) => {
    const deliver = () => {
      const passing = process.pass();
      if (passing) void passing.then(() => relayed.emit(name, payload));
      else relayed.emit(name, payload);
    };
    // Whether the server is there shows on the connection itself, which tells nobody twice.
    const isHint = name === "signal:events" || name === "signal:control";
    if (!isHint || !weather.isRough) return deliver();
    const deliverLater = (kind: string) => {
      tally.count(kind);
      weather.time.after(chance.between(0, LATEST_MS), deliver);
    };
    if (chance.happens(rates.lostSignal)) return tally.count("notification is lost");
    if (chance.happens(rates.lateSignal)) deliverLater("notification comes late");
    else deliver();
    if (chance.happens(rates.repeatedSignal)) deliverLater("notification comes twice");
  });
  return { signals: relayed, end };
}
