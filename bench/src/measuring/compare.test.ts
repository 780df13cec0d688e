import { describe, expect, it } from "vitest";
import { type CompareContext, compare, type OpenContestant } from "./compare.ts";

/** Contestants that read prepared values off, and a diary of what they did. */
function openStage() {
  const diary: string[] = [];
  const contestant =
    (name: string, ...values: number[]): OpenContestant<"speed"> =>
    async () => {
      diary.push(`open ${name}`);
      return {
        async measure() {
          diary.push(name);
          const value = values.shift();
          if (value === undefined) throw new Error(`${name} has nothing more`);
          return { speed: value };
        },
        close: async () => diary.push(`close ${name}`),
      };
    };
  const told: string[] = [];
  const context: CompareContext = {
    case: "race",
    rounds: 2,
    signal: new AbortController().signal,
    onReading: (name, title, reading) => told.push(`${title} ${name} ${JSON.stringify(reading)}`),
  };
  const metrics = { speed: { unit: "km/h", better: "more", goals: [{ relativeTo: "raw", atLeast: 2 }] } } as const;
  return { diary, contestant, told, context, metrics };
}

describe("compare", () => {
  it("lets everybody warm up, then measures in turns, and closes everybody", async () => {
    const { diary, contestant, told, context, metrics } = openStage();
    const contestants = { pup: contestant("pup", 1, 30, 10), raw: contestant("raw", 1, 10, 5) };

    const figures = await compare({ title: "uphill", contestants, metrics }, context);

    expect(diary).toEqual(["open pup", "open raw", "pup", "raw", "raw", "pup", "pup", "raw", "close pup", "close raw"]);
    expect(told[0]).toBe('uphill raw {"speed":10}');
    expect(figures).toEqual([
      {
        case: "race",
        title: "uphill",
        unit: "km/h",
        better: "more",
        rounds: 2,
        values: { pup: 20, raw: 7.5 },
        ratios: { raw: 2.5 },
        goals: [{ goal: "≥ 2 × raw", actual: 2.5, reached: true }],
      },
    ]);
  });

  it("fails with who could not do the work, and closes everybody", async () => {
    const { diary, contestant, context, metrics } = openStage();
    const contestants = { pup: contestant("pup", 1), raw: contestant("raw") };

    await expect(compare({ title: "uphill", contestants, metrics, warmUp: 0 }, context)).rejects.toThrow(
      "raw has nothing more",
    );
    expect(diary.slice(-2)).toEqual(["close pup", "close raw"]);
  });

  it("ends between two turns when it is told to, and closes who was opened", async () => {
    const { diary, contestant, context, metrics } = openStage();
    const stopping = new AbortController();
    const contestants = { pup: contestant("pup", 1, 1), raw: contestant("raw", 1, 1) };
    const onReading = () => stopping.abort(new Error("enough"));

    const running = compare(
      { title: "uphill", contestants, metrics, warmUp: 0 },
      { ...context, signal: stopping.signal, onReading },
    );

    await expect(running).rejects.toThrow("enough");
    expect(diary).toEqual(["open pup", "open raw", "pup", "close pup", "close raw"]);
  });
});
