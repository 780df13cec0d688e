/** A time limit for one thing after another. */
export interface Alarm {
  /** The next thing begins: its time starts now. */
  arm(): void;
  /** It has ended in time. */
  disarm(): void;
  /** Gives the timer back. */
  dispose(): void;
}

/**
 * One timer for all, since a timer for each statement costs a tenth of a short one. It does not keep the process alive: what
 * it watches over does.
 */
export function createAlarm(timeoutMs: number, ring: () => void): Alarm {
  let armed = false;
  let timer: NodeJS.Timeout | undefined;
  return {
    arm() {
      armed = true;
      if (timer !== undefined) timer.refresh();
      else timer = setTimeout(() => armed && ring(), timeoutMs).unref();
    },
    disarm() {
      armed = false;
    },
    dispose() {
      clearTimeout(timer);
    },
  };
}
