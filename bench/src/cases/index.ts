import type { BenchCase } from "../bench-case.ts";
import { append } from "./append/append.ts";
import { callers } from "./append/callers.ts";
import { wakeUps } from "./append/wake-ups.ts";
import { catchUp } from "./catch-up/catch-up.ts";
import { consumers } from "./catch-up/consumers.ts";
import { neighbour } from "./catch-up/neighbour.ts";
import { scoped } from "./catch-up/scoped.ts";
import { growth } from "./growth/growth.ts";
import { idle } from "./idle/idle.ts";
import { latency } from "./live/latency.ts";
import { loss } from "./live/loss.ts";
import { stall } from "./live/stall.ts";
import { memory } from "./memory/memory.ts";

/** What can be asked for, in the order in which it is measured. */
export const cases: readonly BenchCase[] = [
  append,
  callers,
  wakeUps,
  catchUp,
  consumers,
  scoped,
  neighbour,
  latency,
  stall,
  loss,
  idle,
  memory,
  growth,
];
