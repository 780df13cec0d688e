import { PupError } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { TableNames, Tables } from "./tables.ts";

/** The role that logs in lacks rights on pup's tables. What each role needs: `docs/roles.md`. */
export class RightsMissingError extends PupError {
  override readonly name = "RightsMissingError";
  readonly code = "PUP_RIGHTS_MISSING";

  constructor(what: string, options?: ErrorOptions) {
    super(
      `${what} Who needs what stands in https://github.com/pupsourcing/pup/blob/main/docs/roles.md, ready to be granted.`,
      options,
    );
  }
}

/** What a worker does with each table. Appending is not among it. */
const WORKER_RIGHTS: Partial<Record<keyof TableNames, readonly string[]>> = {
  pupMigrations: ["SELECT"],
  events: ["SELECT"],
  consumerCheckpoints: ["SELECT", "INSERT", "UPDATE"],
  workerNodes: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  consumerAssignments: ["SELECT", "INSERT", "UPDATE", "DELETE"],
  leaderLease: ["SELECT", "INSERT", "UPDATE"],
  consumerDeadLetters: ["SELECT", "INSERT", "UPDATE", "DELETE"],
};

interface MissingRow {
  readonly relation: string;
  readonly privilege: string;
  readonly role: string;
}

// Rights on some columns may be enough, and nobody can have them for deleting.
const MISSING = `
SELECT relation, privilege, current_user::text AS role
FROM jsonb_to_recordset($1::text::jsonb) AS needed (relation text, privilege text)
WHERE NOT CASE privilege
  WHEN 'DELETE' THEN has_table_privilege(relation, privilege)
  ELSE has_any_column_privilege(relation, privilege)
END`;

/**
 * Checks that the role may do what a worker does. One that starts without a right would learn so much later, and one by one.
 *
 * @throws {@link RightsMissingError} with all that is missing
 */
export async function checkWorkerRights(execute: Execute, tables: Tables): Promise<void> {
  const needed = Object.entries(WORKER_RIGHTS).flatMap(([table, privileges]) =>
    privileges.map((privilege) => ({ relation: tables[table as keyof TableNames], privilege })),
  );
  const missing = await execute<MissingRow>(MISSING, [JSON.stringify(needed)]);
  const [first] = missing;
  if (!first) return;
  const relations = [...new Set(missing.map(({ relation }) => relation))];
  const grants = relations.map((relation) => {
    const privileges = missing.filter((row) => row.relation === relation).map(({ privilege }) => privilege);
    return `${privileges.join(", ")} on ${relation}`;
  });
  throw new RightsMissingError(
    `Expected role ${JSON.stringify(first.role)} to have what a worker needs, but it lacks ${grants.join("; ")}.`,
  );
}
