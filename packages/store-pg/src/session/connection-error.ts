/** What postgres.js calls its own errors about connections. */
const POSTGRES_JS = /^(CONNECTION_(CLOSED|DESTROYED|ENDED)|CONNECT_TIMEOUT|SASL_SIGNATURE_MISMATCH)$/;
/** System calls (`ECONNRESET`) and Node's streams and TLS (`ERR_STREAM_DESTROYED`, `ERR_TLS_…`). */
const NODE = /^(E[A-Z]{2,}|ERR_(STREAM|SOCKET|SSL|TLS)_\w+)$/;

/** How OpenSSL and Node call what is wrong with a certificate. */
const CERTIFICATE =
  /^(CERT_\w+|(DEPTH_ZERO_)?SELF_SIGNED_CERT\w*|UNABLE_TO_\w+|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH|ERR_TLS_CERT_\w+)$/;

/** What is wrong with the server's certificate; undefined when the error is about something else. */
export function certificateProblem(error: unknown): string | undefined {
  return CERTIFICATE.test(facts(error).code ?? "") ? (error as Error).message : undefined;
}

/** True when the server said it: then the answer belongs to the statement, and the protocol is in step. */
export function isServerError(error: unknown): boolean {
  return facts(error).severity !== undefined;
}

/** True when the error ends its session: the network's errors, and what the server calls fatal. */
export function isConnectionError(error: unknown): boolean {
  const { severity, code = "" } = facts(error);
  return severity === undefined
    ? POSTGRES_JS.test(code) || NODE.test(code)
    : severity === "FATAL" || severity === "PANIC";
}

function facts(error: unknown): { readonly severity?: string; readonly code?: string } {
  const { severity, code } = (error ?? {}) as { severity?: unknown; code?: unknown };
  return {
    ...(typeof severity === "string" && { severity }),
    ...(typeof code === "string" && { code }),
  };
}
