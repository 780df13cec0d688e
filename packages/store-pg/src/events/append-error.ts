import { PayloadNotSerializableError, PayloadTooLargeError } from "@pup/core";
import { sqlStateOf } from "../sql-state.ts";

/** What only the database sees about a payload: its own limits, and texts that its encoding does not have. */
export function translateAppendError(error: unknown): unknown {
  switch (sqlStateOf(error)) {
    case "54000": // program_limit_exceeded
      return new PayloadTooLargeError("The events of this append are larger than PostgreSQL's jsonb can hold.", {
        cause: error,
      });
    case "22P02": // invalid_text_representation
    case "22P05": // untranslatable_character
    case "22021": // character_not_in_repertoire
    case "54001": // statement_too_complex: nested too deeply
      return new PayloadNotSerializableError(
        -1,
        "payload",
        `what PostgreSQL cannot store (${(error as Error).message})`,
        {
          cause: error,
        },
      );
    default:
      return error;
  }
}
