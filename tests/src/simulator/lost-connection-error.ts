/** The simulated network lost a connection. Whether the statement took effect is not known to whoever sent it. */
export class LostConnectionError extends Error {
  override readonly name = "LostConnectionError";
}
