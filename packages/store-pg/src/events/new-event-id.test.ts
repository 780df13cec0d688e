import { describe, expect, it } from "vitest";
import { newEventId } from "./new-event-id.ts";

describe("newEventId", () => {
  it("makes UUIDs of version 7 with the time in front, none twice", () => {
    const ids = Array.from({ length: 2_000 }, () => newEventId(0x0192_abcd_ef01));

    for (const id of ids) expect(id).toMatch(/^0192abcd-ef01-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(2_000);
  });
});
