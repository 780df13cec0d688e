import { InvalidOptionError, isPupError, type PupError } from "@pup/core";

/** Refusals that no waiting cures: wrong password, user not let in, no such database. */
const SETUP_CODES = new Set(["28P01", "28000", "3D000"]);

/** How OpenSSL and Node call what is wrong with a server's certificate. */
const CERTIFICATE =
  /^(CERT_\w+|(DEPTH_ZERO_)?SELF_SIGNED_CERT\w*|UNABLE_TO_\w+|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH|ERR_TLS_CERT_\w+)$/;

/** The error to give up with, when the set-up is wrong; null when trying again may help. */
export function toSetupError(error: unknown): PupError | null {
  if (isPupError(error) && error.code === "PUP_UNSUPPORTED") return error;
  if (CERTIFICATE.test(codeOf(error))) {
    return new InvalidOptionError(
      `The server's certificate was not accepted: ${describeError(error)}. Expected one that \`ssl: { ca }\` vouches for, ` +
        "for the very host name or address in `connection`.",
      { cause: error },
    );
  }
  if (!SETUP_CODES.has(codeOf(error))) return null;
  return new InvalidOptionError(`Expected \`connection\` to let us in, but the server said: ${describeError(error)}.`, {
    cause: error,
  });
}

/** What went wrong, in a few words. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // With several addresses for one name, Node's error has a code and no message.
  return error.message || codeOf(error) || error.name;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}
