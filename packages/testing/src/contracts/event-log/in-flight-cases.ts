import { beginSettling, observeAppenders, observeScan, type SettledState } from "@pup/core";
import { describe, expect, it } from "vitest";
import type { StoreSetup } from "../store-setup.ts";
import { last, logActions, positionsOf } from "./log-actions.ts";

/** Who is in flight, and what can be concluded from it. */
export function inFlightCases<Tx>(setup: () => StoreSetup<Tx>): void {
  const { append, appendAndHold, appendAndRollBack, read } = logActions(setup);
  const log = () => setup().store;

  describe("inFlightAppenders", () => {
    it("lists nobody at rest, whatever sessions the store itself holds", async () => {
      await append("a");
      const session = await setup().other.openControlSession();
      await session.register({ workerId: "00000000-0000-4000-8000-000000000001", consumers: [] });
      await session.election.tick();

      const { appenders } = await log().inFlightAppenders();
      await session.close();

      expect(appenders).toEqual([]);
    });

    it("lists an append from the moment it draws its position until its outcome is visible", async () => {
      const held = await appendAndHold();
      const during = await log().inFlightAppenders();
      await held.commit();
      const afterwards = await log().inFlightAppenders();

      expect(during.appenders).toEqual([
        {
          id: expect.any(String),
          prepared: false,
          pid: expect.any(Number),
          applicationName: expect.any(String),
          ageMs: expect.any(Number),
        },
      ]);
      expect(afterwards.appenders).toEqual([]);
      expect(positionsOf((await read(0n, 100n)).events)).toEqual(held.positions);
    });

    it("forgets an append that was rolled back", async () => {
      await appendAndRollBack();

      expect((await log().inFlightAppenders()).appenders).toEqual([]);
    });

    it("knows an append by the same id until it ends, and two by two ids", async () => {
      const first = await appendAndHold("a");
      const [before] = (await log().inFlightAppenders()).appenders;
      const second = await appendAndHold("b");
      const both = (await log().inFlightAppenders()).appenders.map(({ id }) => id);
      await second.rollback();
      const [after] = (await log().inFlightAppenders()).appenders;
      await first.rollback();

      expect(new Set(both).size).toBe(2);
      expect(both).toContain(before?.id);
      expect(after?.id).toBe(before?.id);
    });

    it("leaves out a transaction that only reads", async () => {
      await append("a");
      const held = await setup().begin();
      await setup().store.readStream({ aggregateType: "Order", aggregateId: "a" }, {}, { tx: held.tx });

      const { appenders } = await log().inFlightAppenders();
      await held.rollback();

      expect(appenders).toEqual([]);
    });

    it("tells how long an append has been open", async () => {
      const held = await appendAndHold();
      await setup().elapse(30);
      const [appender] = (await log().inFlightAppenders()).appenders;
      await held.rollback();

      expect(appender?.ageMs).toBeGreaterThanOrEqual(30);
    });

    it("says with every answer that this is one and the same run of a server that takes writes", async () => {
      const state = { recovering: false, serverRun: (await log().scanPositions(0n)).serverRun };

      expect(await log().inFlightAppenders()).toMatchObject(state);
      expect(await setup().other.inFlightAppenders()).toMatchObject(state);
      expect(await setup().other.scanPositions(0n)).toMatchObject(state);
    });

    it("lists a prepared append, which no process runs", async (context) => {
      const held = await appendAndHold();
      if (!held.prepare) return endAndSkip(held, context);
      const [before] = (await log().inFlightAppenders()).appenders;

      await held.prepare();

      const [after] = (await log().inFlightAppenders()).appenders;
      await held.rollback();
      expect(before).toMatchObject({ prepared: false });
      expect(after).toMatchObject({ prepared: true, pid: null });
      expect((await log().inFlightAppenders()).appenders).toEqual([]);
    });

    it("tells a restarted server from the one before", async (context) => {
      const { restart } = setup();
      if (!restart) return context.skip();
      const before = await log().inFlightAppenders();

      await restart();

      expect((await log().inFlightAppenders()).serverRun).not.toBe(before.serverRun);
    });
  });

  describe("the settled position that follows from it", () => {
    const start = async () => beginSettling(0n, await log().latestPosition());
    const look = async (state: SettledState) => {
      const scanned = observeScan(state, await log().scanPositions(state.position));
      return scanned.hole ? observeAppenders(scanned, await log().inFlightAppenders()) : scanned;
    };

    it("waits for an append in flight, and passes it when it commits", async () => {
      const before = last(await append("a"));
      let state = await look(await start());
      const held = await appendAndHold();
      const head = last(await append("b"));

      state = await look(await look(state));
      expect(state.position).toBe(before);

      await held.commit();
      state = await look(await look(state));
      expect(state).toEqual({ position: head, hole: null, behind: [] });
      expect((await read(before, state.position)).events).toHaveLength(2);
    });

    it("passes a rolled-back append at once", async () => {
      await append("a");
      await appendAndRollBack();
      const head = last(await append("b"));

      expect(await look(await look(await start()))).toEqual({ position: head, hole: null, behind: [] });
    });

    it("does not wait for appends that came later", async () => {
      await append("a");
      const early = await appendAndHold("early");
      const head = last(await append("b"));
      const state = await look(await start());
      const late = await appendAndHold("late");
      await early.rollback();

      const settled = await look(await look(state));
      await late.rollback();

      expect(settled.position).toBe(head);
    });

    it("waits for an append that is prepared while it waits", async (context) => {
      await append("a");
      const held = await appendAndHold();
      if (!held.prepare) return endAndSkip(held, context);
      const head = last(await append("b"));
      let state = await look(await start());

      await held.prepare();
      for (let looks = 0; looks < 3; looks++) state = await look(state);
      expect(state.position).toBeLessThan(held.positions[0] as bigint);

      await held.commit();
      expect((await look(await look(state))).position).toBe(head);
    });
  });
}

async function endAndSkip(held: { rollback(): Promise<void> }, context: { skip(): void }): Promise<void> {
  await held.rollback();
  context.skip();
}
