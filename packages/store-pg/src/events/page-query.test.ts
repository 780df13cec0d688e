import { describe, expect, it } from "vitest";
import { resolveTables } from "../schema/tables.ts";
import { buildPageQuery } from "./page-query.ts";

const tables = resolveTables({});
const request = { after: 2n ** 62n, upTo: 2n ** 62n + 9n, limit: 100, maxBytes: 1_000 };
const types = (values: readonly unknown[]) => values.filter((value) => /^[A-Z]/.test(String(value)));

describe("buildPageQuery", () => {
  it("sends every value as a parameter", () => {
    const evil = "'; DROP TABLE events; --";
    const { text, valuesFor } = buildPageQuery(tables, { aggregateTypes: [evil], eventTypes: [evil] });

    expect(text).not.toContain("DROP");
    expect(valuesFor(request)).toContain(evil);
  });

  it("sends positions as text, which no number could hold", () => {
    const { valuesFor } = buildPageQuery(tables, {});

    expect(valuesFor(request)).toContain("4611686018427387904");
    expect(valuesFor(request)).toContain("4611686018427387913");
  });

  it("reads one part for each type", () => {
    const parts = (scope: Parameters<typeof buildPageQuery>[1]) =>
      buildPageQuery(tables, scope).text.split("UNION ALL").length;

    expect(parts({ aggregateTypes: ["Order"] })).toBe(1);
    expect(parts({ aggregateTypes: ["Order", "Invoice"] })).toBe(2);
    expect(parts({ eventTypes: ["Placed", "Paid", "Sent"], aggregateTypes: ["Order", "Invoice"] })).toBe(3);
  });

  it("reads a type once that is named twice, or its events would come twice", () => {
    const { text, valuesFor } = buildPageQuery(tables, {
      eventTypes: ["Placed", "Placed"],
      aggregateTypes: ["Order", "Order"],
    });

    expect(text).not.toContain("UNION");
    expect(new Set(types(valuesFor(request)))).toEqual(new Set(["Placed", "Order"]));
  });

  it("has the same text for scopes of the same shape, so that the server can keep it prepared", () => {
    const one = buildPageQuery(tables, { aggregateTypes: ["Order", "Invoice"] });
    const other = buildPageQuery(tables, { aggregateTypes: ["Cart", "Shipment"] });

    expect(one.text).toBe(other.text);
    expect(new Set(types(one.valuesFor(request)))).toEqual(new Set(["Order", "Invoice"]));
  });
});
