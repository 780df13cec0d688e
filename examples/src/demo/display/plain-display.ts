import { formatSeconds } from "./format.ts";
import { renderLine } from "./render-line.ts";
import type { Display } from "./status.ts";

const lineEveryMs = 1_000;

/** Writes a line for everything that happens, and one a second in between. For files and pipes. */
export function createPlainDisplay(stream: NodeJS.WritableStream): Display {
  const startedAt = performance.now();
  let shownAt = Number.NEGATIVE_INFINITY;
  const write = (text: string) => stream.write(`${formatSeconds(performance.now() - startedAt)}  ${text}\n`);
  return {
    tell: write,
    show(status) {
      if (performance.now() - shownAt < lineEveryMs) return;
      shownAt = performance.now();
      write(renderLine(status));
    },
    close: () => undefined,
  };
}
