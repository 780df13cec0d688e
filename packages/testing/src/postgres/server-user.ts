import { statSync } from "node:fs";
import { dirname } from "node:path";

/** A user by number: no account has to exist for it. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Whom the server runs as where it cannot run as us: PostgreSQL refuses root. Undefined means as ourselves. */
export function serverUser(): ServerUser | undefined {
  return process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
}

/** Whether every user of the machine can reach `path`. What lies under somebody's home often cannot be reached. */
export function isReachableByAll(path: string): boolean {
  const letsOthersIn = (statSync(path).mode & 0o001) !== 0;
  const parent = dirname(path);
  return letsOthersIn && (parent === path || isReachableByAll(parent));
}
