import { createLiveDisplay } from "./live-display.ts";
import { createPlainDisplay } from "./plain-display.ts";
import type { Display } from "./status.ts";

/** The display that suits the stream. */
export function createDisplay(stream: NodeJS.WriteStream): Display {
  return stream.isTTY ? createLiveDisplay(stream) : createPlainDisplay(stream);
}
