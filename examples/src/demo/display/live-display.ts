import { createLogUpdate } from "log-update";
import pc from "picocolors";
import { formatSeconds } from "./format.ts";
import { renderTable } from "./render-table.ts";
import type { Display } from "./status.ts";

/** Shows a table that is drawn anew all the time, with what was told above it. For terminals. */
export function createLiveDisplay(stream: NodeJS.WriteStream): Display {
  const startedAt = performance.now();
  const live = createLogUpdate(stream);
  const stamp = (text: string) => `${pc.dim(formatSeconds(performance.now() - startedAt))}  ${text}`;
  return {
    tell: (text) => live.persist(stamp(text)),
    show: (status) => live(stamp(renderTable(status))),
    close() {
      live.clear();
      live.done();
    },
  };
}
