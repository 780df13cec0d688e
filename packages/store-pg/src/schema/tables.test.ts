import { describe, expect, it } from "vitest";
import { resolveTables } from "./tables.ts";

describe("resolveTables", () => {
  it("has a name for every table, in the schema public", () => {
    const tables = resolveTables({});

    expect(tables.events).toBe('"public"."events"');
    expect(tables.names.leaderLease).toBe("leader_lease");
  });

  it("takes other names, and an undefined one for the default", () => {
    const tables = resolveTables({ schema: "billing", tables: { events: "Facts", workerNodes: undefined as never } });

    expect(tables.events).toBe('"billing"."Facts"');
    expect(tables.workerNodes).toBe('"billing"."worker_nodes"');
  });

  it("refuses a schema or a table that PostgreSQL cannot keep", () => {
    for (const options of [{ schema: "" }, { tables: { events: "x".repeat(64) } }]) {
      expect(() => resolveTables(options)).toThrow(expect.objectContaining({ code: "PUP_INVALID_IDENTIFIER" }));
    }
  });

  it("refuses one name for two tables, also when one of them is a default", () => {
    expect(() => resolveTables({ tables: { events: "aggregate_heads" } })).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_OPTION", message: expect.stringContaining('"aggregate_heads"') }),
    );
  });

  it("refuses a table that pup does not have", () => {
    expect(() => resolveTables({ tables: { event: "events" } as never })).toThrow(
      expect.objectContaining({ code: "PUP_INVALID_OPTION", message: expect.stringContaining("got event") }),
    );
  });
});
