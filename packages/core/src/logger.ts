type LogMethod = (facts: Readonly<Record<string, unknown>>, message: string) => void;

/** Where pup tells people what happens. A pino logger fits as it is. No entry carries a payload or a password. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const silent: LogMethod = () => undefined;

/** Says nothing: the default everywhere. */
export const silentLogger: Logger = { debug: silent, info: silent, warn: silent, error: silent };
