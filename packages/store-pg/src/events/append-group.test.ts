import { describe, expect, it } from "vitest";
import { queuedAppend } from "../test-support/queued-append.ts";
import { planGroup, type QueuedAppend } from "./append-group.ts";

const bounds = { maxAppends: 10, maxEvents: 20, maxLength: 40_000 };
const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, "0")}`;
const plan = (waiting: QueuedAppend[], held: readonly string[] = []) =>
  planGroup(waiting, (key) => held.includes(key), bounds);
const shape = ({ parts }: ReturnType<typeof plan>) =>
  parts.map(({ key, appends, expected, count }) => [key.split("\0")[1], appends.length, expected, count]);

describe("planGroup", () => {
  it("lets appends to different aggregates travel together, whatever they expect", () => {
    const planned = plan([
      queuedAppend({ aggregateId: "a" }),
      queuedAppend({ aggregateId: "b", expectedVersion: 7, count: 2 }),
      queuedAppend({ aggregateId: "c", expectedVersion: "no-stream" }),
    ]);

    expect(shape(planned)).toEqual([
      ["a", 1, null, 1],
      ["b", 1, 7, 2],
      ["c", 1, 0, 1],
    ]);
  });

  it("chains those of one aggregate that go through if the first one does", () => {
    const planned = plan([
      queuedAppend({ expectedVersion: "no-stream", count: 2 }),
      queuedAppend({ expectedVersion: 2 }),
      queuedAppend({ expectedVersion: "any" }),
      queuedAppend({ expectedVersion: 4 }),
    ]);

    expect(shape(planned)).toEqual([["order-1", 4, 0, 5]]);
    expect(planned.behind).toEqual([]);
  });

  it.each([
    ["one that expects what is gone by then", { expectedVersion: 3 }, { expectedVersion: 3 }],
    ["one that expects what only might be", { expectedVersion: "any" }, { expectedVersion: 3 }],
    ["one with the same ids", { ids: [idOf(1)] }, { ids: [idOf(2), idOf(1)] }],
  ] as const)("keeps back %s, and all behind it", (_, first, second) => {
    const [one, two, three] = [queuedAppend(first), queuedAppend(second), queuedAppend()];

    const planned = plan([one, two, queuedAppend({ aggregateId: "other" }), three]);

    expect(planned.parts.map(({ appends }) => appends)).toEqual([[one], [expect.anything()]]);
    expect(planned.behind).toEqual([two, three]);
  });

  it("keeps back what is meant for an aggregate that something is under way for", () => {
    const [first, second] = [queuedAppend(), queuedAppend({ aggregateId: "free" })];

    const planned = plan([first, second], ["Order\0order-1"]);

    expect(planned.behind).toEqual([first]);
    expect(planned.parts[0]?.appends).toEqual([second]);
  });

  it.each([
    ["many events", { count: 6 }],
    ["a large payload", { payload: "x".repeat(10_001) }],
  ])("sends one with %s by itself, and all behind it later", (_, fields) => {
    const [large, next] = [queuedAppend(fields), queuedAppend()];

    const planned = plan([large, next]);

    expect(planned).toMatchObject({ parts: [], large: [large], behind: [next], rest: [] });
  });

  it("keeps a large one behind those that came before it", () => {
    const [first, large] = [queuedAppend(), queuedAppend({ count: 6 })];

    expect(plan([first, large])).toMatchObject({ large: [], behind: [large] });
  });

  it.each([
    ["appends", 10, (n: number) => queuedAppend({ aggregateId: `${n}` })],
    ["events", 4, (n: number) => queuedAppend({ aggregateId: `${n}`, count: 5 })],
    ["characters", 4, (n: number) => queuedAppend({ aggregateId: `${n}`, payload: "x".repeat(9_000) })],
  ])("is full with so many %s", (_, fitting, make) => {
    const waiting = Array.from({ length: 12 }, (__, n) => make(n));

    const planned = plan(waiting);

    expect(planned.parts).toHaveLength(fitting);
    expect(planned.rest).toEqual(waiting.slice(fitting));
  });

  it("passes over those whose caller does not wait any more", () => {
    const [gone, next] = [queuedAppend({ count: 6 }), queuedAppend()];
    gone.isGone = true;

    expect(plan([gone, next]).parts[0]?.appends).toEqual([next]);
  });

  it("keeps each aggregate's order, whatever comes", () => {
    const waiting = Array.from({ length: 200 }, (_, n) =>
      queuedAppend({
        aggregateId: `${n % 7}`,
        expectedVersion: n % 3 === 0 ? (n % 5) + 1 : "any",
        count: n % 11 === 0 ? 6 : 1,
      }),
    );
    let left: QueuedAppend[] = waiting;
    const sent: QueuedAppend[] = [];
    while (left.length > 0) {
      const { parts, large, behind, rest } = plan(left);
      sent.push(...large, ...parts.flatMap(({ appends }) => appends));
      left = [...behind, ...rest];
    }

    const ofEach = (list: readonly QueuedAppend[]) => Map.groupBy(list, ({ key }) => key);
    for (const [key, appends] of ofEach(waiting)) expect(ofEach(sent).get(key)).toEqual(appends);
  });
});
