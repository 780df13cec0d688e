import type { AppendOptions } from "@pup/core";
import { describe, expect, it } from "vitest";
import { range, sampleEvent, sampleEvents } from "../sample-events.ts";
import type { StoreSetup } from "../store-setup.ts";
import { idOf, order, orderActions } from "./order-actions.ts";

/** A plain append. */
export function appendCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, readOrder } = orderActions(setup);

  describe("append", () => {
    it("gives the events of a new aggregate versions from 1 and growing positions, in the order given", async () => {
      const { events } = await append(sampleEvents(3));

      expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual([1, 2, 3]);
      expect(events.map(({ payload }) => payload)).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
      expect(events.every(({ globalPosition }) => typeof globalPosition === "bigint" && globalPosition > 0n)).toBe(
        true,
      );
      expect(isAscending(events.map(({ globalPosition }) => globalPosition))).toBe(true);
    });

    it("tells the aggregate's version before and after", async () => {
      expect(await append(sampleEvents(3))).toMatchObject({ fromVersion: 0, toVersion: 3, duplicate: false });
      expect(await append(sampleEvents(2))).toMatchObject({ fromVersion: 3, toVersion: 5, duplicate: false });
    });

    it("counts the versions of each aggregate for itself", async () => {
      await append(sampleEvents(2));
      const other = await append([sampleEvent({ aggregateId: "order-2" })]);
      const otherType = await append([sampleEvent({ aggregateType: "Invoice" })]);

      expect(other.toVersion).toBe(1);
      expect(otherType.toVersion).toBe(1);
    });

    it("answers with the caller's own payload and metadata", async () => {
      const payload = { at: new Date(0) };
      const metadata = { user: "u-1" };

      const { events } = await append([sampleEvent({ payload, metadata })]);

      expect(events[0]?.payload).toBe(payload);
      expect(events[0]?.metadata).toBe(metadata);
    });

    it("answers with what is read back later", async () => {
      const { events } = await append([sampleEvent({ metadata: { user: "u-1" } }), sampleEvent({ type: "OrderPaid" })]);

      expect(await readOrder()).toEqual(events);
    });

    it("keeps every field", async () => {
      const event = sampleEvent({
        id: idOf(1),
        version: 3,
        payload: { lines: [{ sku: "a", count: 2 }], note: null },
        metadata: { user: "u-1", roles: ["admin"] },
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        correlationId: "request-1",
        causationId: "command-1",
      });

      await append([event]);

      expect((await readOrder())[0]).toMatchObject(event);
    });

    it("fills in what was left out", async () => {
      await append([sampleEvent()]);

      expect((await readOrder())[0]).toMatchObject({
        version: 1,
        metadata: null,
        traceId: null,
        correlationId: null,
        causationId: null,
      });
    });

    it("makes a UUIDv7 for an event without id", async () => {
      const { events } = await append(sampleEvents(2));

      for (const { id } of events)
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(new Set(events.map(({ id }) => id)).size).toBe(2);
    });

    it("writes ids in lower case", async () => {
      const id = "0190ABCD-0000-7000-8000-00000000000A";

      const { events } = await append([sampleEvent({ id })]);

      expect(events[0]?.id).toBe(id.toLowerCase());
      expect((await readOrder())[0]?.id).toBe(id.toLowerCase());
    });

    it("gives the events of one append one time", async () => {
      const { events } = await append(sampleEvents(2));

      expect(events[0]?.createdAt).toBeInstanceOf(Date);
      expect(events[1]?.createdAt).toEqual(events[0]?.createdAt);
    });

    it("keeps version order and position order the same for one aggregate, whoever appends at once", async () => {
      await Promise.all(
        range(1, 20).map((index) => (index % 2 ? setup().store : setup().other).append(sampleEvents(2))),
      );

      const events = await readOrder();
      expect(events.map(({ aggregateVersion }) => aggregateVersion)).toEqual(range(1, 40));
      expect(isAscending(events.map(({ globalPosition }) => globalPosition))).toBe(true);
    });

    it("appends many events at once", async () => {
      const { events } = await append(sampleEvents(1_000));

      expect(events).toHaveLength(1_000);
      expect((await readOrder()).map(({ payload }) => payload)).toEqual(range(0, 999).map((index) => ({ index })));
    });
  });

  describe("append with an expected version", () => {
    it.each(["no-stream", 0] as const)("takes %j when there is no stream", async (expectedVersion) => {
      expect(await append([sampleEvent()], { expectedVersion })).toMatchObject({ toVersion: 1 });
    });

    it.each(["no-stream", 0] as const)("refuses %j when there is a stream", async (expectedVersion) => {
      await append(sampleEvents(2));

      await expect(append([sampleEvent()], { expectedVersion })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        ...order,
        expected: expectedVersion,
        actual: 2,
      });
    });

    it("takes the version that the aggregate has", async () => {
      await append(sampleEvents(2));

      expect(await append([sampleEvent()], { expectedVersion: 2 })).toMatchObject({ fromVersion: 2, toVersion: 3 });
    });

    it.each([1, 3])("refuses version %d when the aggregate has version 2", async (expectedVersion) => {
      await append(sampleEvents(2));

      await expect(append([sampleEvent()], { expectedVersion })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        expected: expectedVersion,
        actual: 2,
      });
      expect(await readOrder()).toHaveLength(2);
    });

    it("refuses a version when there is no stream", async () => {
      await expect(append([sampleEvent()], { expectedVersion: 1 })).rejects.toMatchObject({
        code: "PUP_CONCURRENCY_CONFLICT",
        actual: 0,
      });
    });

    it('takes any version with "any"', async () => {
      await append([sampleEvent()], { expectedVersion: "any" });

      expect(await append([sampleEvent()], { expectedVersion: "any" })).toMatchObject({ toVersion: 2 });
    });

    it("lets one of many win that expect the same version", async () => {
      const outcomes = await Promise.allSettled(
        range(1, 10).map((index) =>
          (index % 2 ? setup().store : setup().other).append([sampleEvent()], { expectedVersion: 0 }),
        ),
      );

      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected")
          expect(outcome.reason).toMatchObject({ code: "PUP_CONCURRENCY_CONFLICT", actual: 1 });
      }
      expect(await readOrder()).toHaveLength(1);
    });

    it("draws no position for an append that conflicts, so that conflicts leave no holes", async () => {
      const { events } = await append([sampleEvent()]);
      await Promise.allSettled(range(1, 5).map(() => append([sampleEvent()], { expectedVersion: 7 })));

      const next = await append([sampleEvent()]);

      expect(next.events[0]?.globalPosition).toBe((events[0]?.globalPosition ?? 0n) + 1n);
    });

    it.each([-1, 1.5, Number.NaN, "latest"])("refuses %j as an expected version", async (expectedVersion) => {
      const options = { expectedVersion } as AppendOptions<Tx>;

      await expect(append([sampleEvent()], options)).rejects.toMatchObject({ code: "PUP_INVALID_OPTION" });
    });
  });
}

function isAscending(positions: readonly bigint[]): boolean {
  return positions.every((position, index) => index === 0 || position > (positions[index - 1] ?? 0n));
}
