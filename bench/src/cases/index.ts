import type { BenchCase } from "../bench-case.ts";
import { append } from "./append/append.ts";
import { callers } from "./append/callers.ts";
import { wakeUps } from "./append/wake-ups.ts";
import { catchUp } from "./catch-up/catch-up.ts";

/** What can be asked for, in the order in which it is measured. */
export const cases: readonly BenchCase[] = [append, callers, wakeUps, catchUp];
