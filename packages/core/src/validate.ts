import { InvalidOptionError } from "./errors.ts";

/** Bounds of a numeric option. */
export interface NumberBounds {
  /** Smallest value allowed. @defaultValue `1` */
  readonly min?: number;
  /** Largest value allowed. @defaultValue 2³¹ − 1, the longest timer of the platform */
  readonly max?: number;
}

/**
 * Returns the value if it is a whole number within the bounds.
 *
 * @throws {@link InvalidOptionError} otherwise, naming the option, what was expected and what was found
 */
export function checkInteger(name: string, value: unknown, { min = 1, max = 2 ** 31 - 1 }: NumberBounds = {}): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidOptionError(
      `Expected \`${name}\` to be a whole number from ${min} to ${max}, got ${show(value)}.`,
    );
  }
  return value;
}

/**
 * Returns the value if it is a text of 1 to `maxBytes` bytes without NUL.
 *
 * @throws {@link InvalidOptionError} otherwise
 */
export function checkName(name: string, value: unknown, maxBytes: number): string {
  if (
    typeof value !== "string" ||
    value === "" ||
    value.includes("\0") ||
    new TextEncoder().encode(value).length > maxBytes
  ) {
    throw new InvalidOptionError(
      `Expected \`${name}\` to be a text of 1 to ${maxBytes} bytes without NUL, got ${show(value)}.`,
    );
  }
  return value;
}

function show(value: unknown): string {
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
