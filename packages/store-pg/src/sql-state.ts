/** What PostgreSQL calls its errors, where pup acts on one. */
export const UNIQUE_VIOLATION = "23505";
export const LOCK_NOT_AVAILABLE = "55P03";
export const DEADLOCK_DETECTED = "40P01";
export const UNDEFINED_TABLE = "42P01";
export const UNDEFINED_SCHEMA = "3F000";
export const INSUFFICIENT_PRIVILEGE = "42501";

/** The SQLSTATE of an error that came from the server; undefined for every other one. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { readonly code?: unknown; readonly severity?: unknown };
  // Codes of Node and of drivers may have five characters too (EPIPE); only the server tells a severity.
  return typeof code === "string" && typeof severity === "string" ? code : undefined;
}

/** Wrong user or password, a database that does not exist or may not be entered. */
export function isLoginRefusal(state: string | undefined): boolean {
  return state !== undefined && /^(28...|3D000|42501)$/.test(state);
}
