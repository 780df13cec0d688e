import { PupError } from "@pup/core";

/**
 * Appends come faster than the database takes them: too many wait, or one has waited too long. Nothing of it was sent: it has
 * certainly not taken place. Try again later, and less at a time.
 */
export class OverloadedError extends PupError {
  override readonly name = "OverloadedError";
  readonly code = "PUP_OVERLOADED";
}
