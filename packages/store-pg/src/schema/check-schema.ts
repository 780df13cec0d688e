import { isPupError, SchemaMissingError } from "@pup/core";
import type { Execute } from "../execute.ts";
import { certificateProblem } from "../session/connection-error.ts";
import { CertificateRefusedError, LoginRefusedError } from "../session/session-errors.ts";
import { isLoginRefusal, sqlStateOf } from "../sql-state.ts";
import { readAppliedVersions } from "./applied-migrations.ts";
import { checkWorkerRights } from "./check-rights.ts";
import { migrationNames } from "./migration-files.ts";
import type { Tables } from "./tables.ts";

/**
 * Checks that the tables are there, of a version that this release works with, and that a worker may use them.
 *
 * @throws {@link RightsMissingError} when it may not
 * @throws {@link LoginRefusedError} when the server is there and does not let us in: who begins learns it here, while for who
 * is at work it is one more lost connection, which a new password may end
 * @throws {@link CertificateRefusedError} likewise, when it is not the server that it should be
 */
export type CheckSchema = (execute: Execute) => Promise<void>;

export function createCheckSchema(tables: Tables): CheckSchema {
  return async (execute) => {
    const versions = await readAppliedVersions(execute, tables).catch(explainRefusal);
    if (!versions) throw schemaMissing(`Expected pup's tables in schema ${JSON.stringify(tables.schema)}, found none.`);
    const missing = migrationNames.filter((_, index) => !versions.has(index + 1));
    if (missing.length > 0) {
      throw schemaMissing(
        `Expected the tables in schema ${JSON.stringify(tables.schema)} to be up to date, but ${missing.join(" and ")} ` +
          `${missing.length === 1 ? "was" : "were"} not applied.`,
      );
    }
    await checkWorkerRights(execute, tables);
  };
}

function explainRefusal(error: unknown): never {
  const { cause } = error as { readonly cause?: unknown };
  const problem = certificateProblem(cause);
  if (problem !== undefined) throw new CertificateRefusedError(problem, { cause });
  if (isNoConnection(error) && isLoginRefusal(sqlStateOf(cause))) {
    throw new LoginRefusedError((cause as Error).message, { cause });
  }
  throw error;
}

/** The same states mean something else where a statement was refused. */
function isNoConnection(error: unknown): boolean {
  return isPupError(error) && (error.code === "PUP_CONNECTION_FAILED" || error.code === "PUP_CONNECTION_LOST");
}

/** Says what is wrong, and what to do about it. */
export function schemaMissing(what: string, options?: ErrorOptions): SchemaMissingError {
  return new SchemaMissingError(
    `${what} Call \`migrate({ connection, schema, tables })\` of @pup/store-pg before, with the names that the store has, ` +
      "or apply the files in its folder `migrations`.",
    options,
  );
}
