import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { renderLine } from "./render-line.ts";
import { renderTable } from "./render-table.ts";
import type { Status } from "./status.ts";

const status: Status = {
  doing: "others take over",
  workers: [
    {
      name: "worker 1",
      pid: 4711,
      state: "running",
      leads: true,
      consumers: [
        { name: "Billing", lag: 0, perSecond: 210 },
        { name: "Email", lag: 1_250, perSecond: 95 },
      ],
    },
    { name: "worker 2", pid: 4712, state: "killed", leads: false, consumers: [] },
  ],
  unowned: [{ name: "Orders", lag: 7, perSecond: 0 }],
  appended: 12_345,
  appendedPerSecond: 420,
  rolledBack: 1_800,
  openAppendMs: 440,
};

describe("The live table", () => {
  it("shows who runs what, who leads, and what waits", () => {
    expect(stripVTControlCharacters(renderTable(status)).split("\n")).toEqual([
      "12,345 events appended (420/s), 1,800 rolled back",
      "┌────────────┬──────────┬───────────┬────────┬──────────┐",
      "│ Worker     │ State    │ Consumers │ Behind │ Events/s │",
      "├────────────┼──────────┼───────────┼────────┼──────────┤",
      "│ worker 1 ★ │ pid 4711 │ Billing   │      0 │      210 │",
      "│            │          │ Email     │  1,250 │       95 │",
      "│ worker 2   │ killed   │           │        │          │",
      "│            │ waiting  │ Orders    │      7 │        0 │",
      "└────────────┴──────────┴───────────┴────────┴──────────┘",
      "★ leads   others take over; a slow commit (0.4 s) holds others up",
    ]);
  });
});

describe("The plain line", () => {
  it("says the same, without workers that are gone", () => {
    expect(renderLine(status)).toBe(
      "12,345 events appended (420/s), 1,800 rolled back; a slow commit (0.4 s) holds others up | worker 1★: Billing, Email (1250 behind) | waiting: Orders (7 behind)",
    );
  });
});
