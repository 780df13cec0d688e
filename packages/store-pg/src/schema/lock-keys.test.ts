import { describe, expect, it } from "vitest";
import { fleetKey, LEADER_LOCK_CLASS, MIGRATION_LOCK_CLASS, migrationKey } from "./lock-keys.ts";
import { resolveTables } from "./tables.ts";

describe("The keys of advisory locks", () => {
  it("never change: workers of different releases meet by them", () => {
    expect(LEADER_LOCK_CLASS).toBe(7_370_096);
    expect(MIGRATION_LOCK_CLASS).toBe(7_370_097);
    expect(fleetKey(resolveTables({}))).toBe(1_978_973_476);
    expect(migrationKey(resolveTables({}))).toBe(1_337_659_291);
  });

  it("tell fleets apart by schema and by table names", () => {
    const keys = [
      {},
      { schema: "other" },
      { tables: { events: "other" } },
      { tables: { leaderLease: "other" } },
      { schema: "a", tables: { events: "b" } },
      { schema: "b", tables: { events: "a" } },
    ].map((options) => fleetKey(resolveTables(options)));

    expect(new Set(keys).size).toBe(keys.length);
  });

  it("fit into PostgreSQL's integer", () => {
    for (const schema of ["a", "b", "c", "d", "e", "f"]) {
      const key = fleetKey(resolveTables({ schema }));
      expect(key | 0).toBe(key);
    }
  });
});
