import type { EventSink, EventSource } from "@pup/core";

/** Sends on what an emitter sends. @returns the undo */
export function forwardEvents<Events>(source: EventSource<Events>, sink: EventSink<Events>): () => void {
  return source.onAny((name, payload) => sink.emit(name, payload));
}
