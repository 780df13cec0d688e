import { constants } from "node:os";

/**
 * A signal that aborts when the program is asked to end; the exit code is set then. Asked again, the program ends at once: servers
 * and workers have somebody who ends them.
 */
export function interruptible(): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const exitCode = 128 + constants.signals[signal];
    process.on(signal, () => {
      if (interrupted.signal.aborted) process.exit(exitCode);
      process.exitCode = exitCode;
      interrupted.abort(new Error(`Interrupted by ${signal}; everything has been cleaned up.`));
    });
  }
  return interrupted.signal;
}

/**
 * Ends the program, with this exit code unless it was interrupted. Without a word, Node 24 now and then does not get to its end: where
 * sockets were cut in the middle of something, it turns round in its own clean-up (seen with SIGINT during the first connections).
 */
export function end(exitCode: number): never {
  process.exit(process.exitCode ?? exitCode);
}
