import type { AcquirableRequest } from "@pup/core";
import type { Execute } from "../execute.ts";
import type { Tables } from "../schema/tables.ts";
import { createReadClaimFacts } from "./claim-facts.ts";
import { judgeClaim } from "./judge-claim.ts";

/** Tells which consumers a take-over would not be refused. */
export type AcquirableCheckpoints = (execute: Execute, request: AcquirableRequest) => Promise<readonly string[]>;

export function createAcquirableCheckpoints(tables: Tables): AcquirableCheckpoints {
  const readClaimFacts = createReadClaimFacts(tables);

  return async (execute, { consumers, ...claim }) => {
    if (consumers.length === 0) return [];
    const known = await readClaimFacts(execute, claim, consumers);
    return consumers.filter((consumer) => {
      const facts = known.get(consumer);
      return facts === undefined || judgeClaim(claim, facts) === "take";
    });
  };
}
