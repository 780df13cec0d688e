import { PupError } from "@pup/core";

/** A name of a schema, a table or a channel is one that PostgreSQL cannot keep as it is. */
export class InvalidIdentifierError extends PupError {
  override readonly name = "InvalidIdentifierError";
  readonly code = "PUP_INVALID_IDENTIFIER";
}

// PostgreSQL cuts longer names silently, and two long names could then meet.
const MAX_IDENTIFIER_BYTES = 63;

// NUL ends a text on its way to the server; half of a surrogate pair would arrive as another character.
const unstorable = /[\0\p{Surrogate}]/u;

/**
 * Returns the name if PostgreSQL can keep it as it is.
 *
 * @param option - where it comes from, for the message
 * @throws {@link InvalidIdentifierError} when it is no text of 1 to 63 bytes, or holds NUL or half of a surrogate pair
 */
export function checkIdentifier(option: string, name: unknown): string {
  const bytes = typeof name === "string" ? Buffer.byteLength(name) : -1;
  if (typeof name !== "string" || bytes < 1 || bytes > MAX_IDENTIFIER_BYTES || unstorable.test(name)) {
    throw new InvalidIdentifierError(
      `Expected \`${option}\` to be a name of 1 to ${MAX_IDENTIFIER_BYTES} bytes without NUL, ` +
        `got ${typeof name === "string" ? JSON.stringify(name) : typeof name}.`,
    );
  }
  return name;
}

/** Quotes one name that was checked. A dot is part of the name: use {@link qualify} for schema and table. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a schema and a name in it. */
export function qualify(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}
