import {
  batchRunnerContract,
  checkpointStoreContract,
  coordinationContract,
  deadLettersContract,
  eventLogContract,
  eventStoreContract,
} from "@pup/testing/contracts";
import { describe } from "vitest";
import { useStoreSetups } from "./test-support/store-setup.ts";

const openWith = useStoreSetups();

describe("PostgreSQL event store", () => {
  eventStoreContract(openWith("pup's own"));
});

describe("PostgreSQL event log", () => {
  eventLogContract(openWith("Kysely with another driver and a plugin"));
});

describe("PostgreSQL checkpoint store", () => {
  checkpointStoreContract(openWith("pup's own"));
});

describe("PostgreSQL batch runner", () => {
  batchRunnerContract(openWith("pup's own"));
});

describe("PostgreSQL dead letters", () => {
  deadLettersContract(openWith("pup's own"));
});

describe("PostgreSQL coordination, leaders by a session's lock", () => {
  coordinationContract(openWith("pup's own", { election: "advisory" }));
});

describe("PostgreSQL coordination, leaders by a lease", () => {
  coordinationContract(openWith("pup's own", { election: "lease", leaseDurationMs: 2_000 }));
});
