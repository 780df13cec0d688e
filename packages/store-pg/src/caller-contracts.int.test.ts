import { eventStoreContract } from "@pup/testing/contracts";
import { describe } from "vitest";
import { useStoreSetups } from "./test-support/store-setup.ts";

const openWith = useStoreSetups();

describe.each(["postgres.js", "Kysely with another driver and a plugin"] as const)(
  "PostgreSQL event store, with transactions of %s:",
  (kind) => {
    eventStoreContract(openWith(kind));
  },
);
