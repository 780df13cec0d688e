import { createEvents, type WorkerEvents } from "@pup/core";
import { expect, it } from "vitest";
import { assertEmitted } from "../emitted/assert-emitted.ts";
import { recordEvents } from "../record-events.ts";
import "./index.ts";

const recorded = recordEvents<WorkerEvents>(createEvents<WorkerEvents>());

it("knows names and payloads by the event map", () => {
  expect(recorded).toHaveEmitted("batch:committed");
  expect(recorded).toHaveEmitted("batch:committed", { consumer: "orders.v1", position: 1n });
  expect(recorded).toHaveEmitted("batch:committed", { consumer: expect.any(String) });
  expect(recorded).toHaveEmitted("batch:committed", ({ events }) => events > 1);
  expect(recorded).toHaveEmitted("batch:failed", { error: { code: "PUP_FENCED" } });
  expect(recorded).toHaveEmitted("consumer:released", { reason: "fenced" });
  expect(recorded).not.toHaveEmittedTimes(2, "batch:committed", { events: 1 });

  // @ts-expect-error -- there is no such event
  expect(recorded).toHaveEmitted("batch:commited");
  // @ts-expect-error -- it has no such property
  expect(recorded).toHaveEmitted("batch:committed", { consumers: "orders.v1" });
  // @ts-expect-error -- positions are bigints
  expect(recorded).toHaveEmitted("batch:committed", { position: 1 });
  // @ts-expect-error -- it is never released for that reason
  expect(recorded).toHaveEmitted("consumer:released", { reason: "bored" });
  // @ts-expect-error -- only recordings have emitted something
  expect([]).toHaveEmitted("batch:committed");
});

it("knows them in assertEmitted, too", () => {
  assertEmitted(recorded, "batch:committed", { consumer: "orders.v1" });

  // @ts-expect-error -- there is no such event
  assertEmitted(recorded, "batch:commited");
  // @ts-expect-error -- positions are bigints
  assertEmitted(recorded, "batch:committed", { position: 1 });
});
