import type { NewEvent } from "@pup/core";
import { describe, expect, it } from "vitest";
import { toAppendInput, toEventsJson } from "./append-input.ts";

const event = (fields: Partial<NewEvent> = {}): NewEvent => ({
  aggregateType: "Order",
  aggregateId: "order-1",
  type: "OrderPlaced",
  payload: { total: 12 },
  ...fields,
});

describe("toAppendInput", () => {
  it("writes events as JSON, without what is not there", () => {
    const id = "0190ABCD-0000-7000-8000-00000000000A";
    const { texts } = toAppendInput([
      event({ id }),
      event({ version: 2, type: 'a "b"', metadata: { user: "u" }, traceId: 't"', payload: null }),
    ]);

    expect(JSON.parse(`[${toEventsJson(texts)}]`)).toEqual([
      { id: id.toLowerCase(), type: "OrderPlaced", version: 1, payload: { total: 12 } },
      { id: texts[1]?.id, type: 'a "b"', version: 2, payload: null, metadata: { user: "u" }, trace: 't"' },
    ]);
  });

  it("has written what it was given, whatever becomes of that afterwards", () => {
    const payload = { total: 12 };
    const { texts } = toAppendInput([event({ payload })]);
    payload.total = 13;

    expect(texts[0]?.payload).toBe('{"total":12}');
  });

  it("knows whether somebody else could have the ids", () => {
    expect(toAppendInput([event(), event()]).hasGivenIds).toBe(false);
    expect(toAppendInput([event(), event({ id: "0190abcd-0000-7000-8000-00000000000a" })]).hasGivenIds).toBe(true);
  });

  // Half a gigabyte of text takes its time where others are at work.
  const large = { timeout: 60_000 };

  it("refuses what is larger than jsonb can hold", large, () => {
    const text = "x".repeat(100_000_000);

    expect(() => toAppendInput([event({ payload: [text, text, text] })])).toThrow(
      expect.objectContaining({
        code: "PUP_PAYLOAD_TOO_LARGE",
        message: expect.stringMatching(/got 3000001\d\d bytes/),
      }),
    );
  });

  it("refuses what is longer than any text can be", large, () => {
    const text = "x".repeat(100_000_000);

    expect(() => toAppendInput([event({ payload: Array.from({ length: 6 }, () => text) })])).toThrow(
      expect.objectContaining({ code: "PUP_PAYLOAD_TOO_LARGE" }),
    );
  });
});
