import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import {
  type Clock,
  type ControlSignal,
  type Dispatcher,
  silentLogger,
  systemClock,
  systemRandomness,
} from "@pup/core";
import { createManualClock, recordEvents } from "@pup/testing";
import {
  createDatabase,
  type Sender,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
  type Verdict,
} from "@pup/testing/postgres";
import postgres, { type Sql } from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { createNotifyDispatcher } from "./notify-dispatcher.ts";
import type { NotifyDispatcherOptions } from "./options.ts";

/** So long that no wake-up in these tests can come from asking. */
const NEVER_MS = 600_000;

describe("createNotifyDispatcher", () => {
  let database: TestDatabase;
  let sql: Sql;
  let proxy: TcpProxy;
  let position = 0n;
  const opened: Dispatcher[] = [];

  beforeAll(async () => {
    database = await createDatabase(inject("postgresUrl"));
    sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  });
  afterAll(async () => {
    await sql.end();
    await database.drop();
  });
  beforeEach(async () => {
    proxy = await startTcpProxy(database.url);
  });
  afterEach(async () => {
    for (const dispatcher of opened.splice(0)) await dispatcher.stop();
    await proxy.close();
  });

  /** Starts a dispatcher that only notifications wake. */
  const listen = (options: Partial<NotifyDispatcherOptions> = {}, clock: Clock = systemClock) => {
    const channel = `pup_${randomUUID()}`;
    const dispatcher = createNotifyDispatcher({
      connection: proxy.url,
      channel,
      reconcileIntervalMs: NEVER_MS,
      ...options,
    });
    opened.push(dispatcher);
    const controls: ControlSignal[] = [];
    const logged: string[] = [];
    const bell = new EventTarget();
    const log = (_: unknown, message: string) => logged.push(message);
    const started = dispatcher.start({
      wake: () => bell.dispatchEvent(new Event("wake")),
      control: (signal) => controls.push(signal),
      latestPosition: async () => position,
      clock,
      random: systemRandomness,
      logger: { ...silentLogger, info: log, warn: log, error: log },
    });
    started.catch(() => undefined);
    const woken = () => new Promise<void>((resolve) => bell.addEventListener("wake", () => resolve(), { once: true }));
    return {
      dispatcher,
      channel: options.channel ?? channel,
      controls,
      logged,
      started,
      woken,
      recorded: recordEvents(dispatcher.events),
    };
  };

  const listenWell = async (options?: Partial<NotifyDispatcherOptions>, clock?: Clock) => {
    const listening = listen(options, clock);
    await listening.started;
    return listening;
  };

  const killSessions = () => sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'pup notify' and datname = current_database()`;

  const countSessions = async () => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where application_name = 'pup notify' and datname = current_database()`;
    return row?.count;
  };

  const healthyAgain = async ({ dispatcher, recorded }: Pick<ReturnType<typeof listen>, "dispatcher" | "recorded">) => {
    if (!dispatcher.health().healthy) await recorded.next("dispatcher:connected");
  };

  /** A notification sent now wakes: nothing but the session can be the cause. */
  const expectToListen = async ({ channel, woken }: Pick<ReturnType<typeof listen>, "channel" | "woken">) => {
    const heard = woken();
    await sql.notify(channel, "events");
    await heard;
  };

  describe("notifications", () => {
    it("wake at once", async () => {
      const listening = await listenWell();
      const sentAtMs = performance.now();

      await expectToListen(listening);

      expect(performance.now() - sentAtMs).toBeLessThan(500);
    });

    it("wake whatever they say, unless they are control signals", async () => {
      const { channel, woken, controls } = await listenWell();
      for (const payload of ["", "42", "assignments-changed-v2"]) {
        const heard = woken();
        await sql.notify(channel, payload);
        await heard;
      }

      const heard = woken();
      await sql.notify(channel, "checkpoint-passed");
      await sql.notify(channel, "events");
      await heard;

      expect(controls).toEqual(["checkpoint-passed"]);
    });

    it.each([
      "Capitals",
      'with "quotes"',
      "it's",
      "schema.table",
      "a; drop table events",
      "spaces and	tabs",
      "Zażółć 🐶",
      "x".repeat(63),
      "select",
    ])("arrive on a channel of any name: %s", async (channel) => {
      await expectToListen(await listenWell({ channel }));
    });

    it("on other channels are not heard, not even if only capitals differ", async () => {
      const { woken } = await listenWell({ channel: "Pup_Case" });
      let heard = false;
      void woken().then(() => {
        heard = true;
      });

      await sql.notify("pup_case", "events");
      await sql.notify("Pup_Case2", "events");
      await wait(200);

      expect(heard).toBe(false);
    });
  });

  describe("asking besides", () => {
    it("wakes for an event of which no notification came", async () => {
      const { woken } = await listenWell({ reconcileIntervalMs: 50 });
      const heard = woken();

      position += 1n;

      await heard;
    });

    it("goes on while nobody listens", async () => {
      const { woken, recorded } = await listenWell({ reconcileIntervalMs: 50 });
      const lost = recorded.next("dispatcher:disconnected");
      await proxy.setListening(false);
      await lost;
      const heard = woken();

      position += 1n;

      await heard;
    });

    it("does not wake without news", async () => {
      const { woken } = await listenWell({ reconcileIntervalMs: 20 });
      let wakeUps = 0;
      void woken().then(() => {
        wakeUps += 1;
      });
      await wait(200);

      expect(wakeUps).toBe(0);
    });
  });

  describe("a lost connection", () => {
    it("is opened again when the server ends it", async () => {
      const listening = await listenWell();
      const again = listening.recorded.next("dispatcher:connected");
      const heard = listening.woken();
      await killSessions();

      expect(await again).toEqual({ attempt: 1 });
      await heard;
      await expectToListen(listening);
    });

    it("is opened again when it is reset", async () => {
      const listening = await listenWell();
      const again = listening.recorded.next("dispatcher:connected");

      proxy.reset();

      await again;
      await expectToListen(listening);
    });

    it("is noticed within two heartbeats when it has died without a word", async () => {
      const listening = await listenWell({ notifyHeartbeatMs: 300 });
      const lost = listening.recorded.next("dispatcher:disconnected");
      const cutAtMs = performance.now();
      proxy.setHalfOpen(true);

      await lost;
      // Promised are two heartbeats; the rest is room for a busy machine. TCP alone would take a quarter of an hour.
      expect(performance.now() - cutAtMs).toBeLessThan(2 * 300 + 1_500);
      expect(listening.dispatcher.health().healthy).toBe(false);

      const again = listening.recorded.next("dispatcher:connected");
      proxy.setHalfOpen(false);
      proxy.reset();
      await again;
      await expectToListen(listening);
    });

    it("is kept as long as heartbeats come back, however slowly", async () => {
      const { recorded } = await listenWell({ notifyHeartbeatMs: 300 });
      proxy.delayMs = 100;

      await wait(1_500);

      expect(recorded.of("dispatcher:disconnected")).toEqual([]);
    });

    it("does not end the process, whenever the server ends it", async () => {
      const listening = await listenWell({ notifyHeartbeatMs: 500 }, hasty(50));
      const untilMs = performance.now() + 2_000;
      let kills = 0;
      while (performance.now() < untilMs) {
        kills += (await killSessions()).length;
        await wait(Math.random() * 15);
      }

      expect(kills).toBeGreaterThan(15);
      await healthyAgain(listening);
      await expectToListen(listening);
    });

    it("does not end the process, whenever it is reset", async () => {
      const listening = await listenWell({ notifyHeartbeatMs: 500 }, hasty(50));
      const untilMs = performance.now() + 2_000;
      while (performance.now() < untilMs) {
        proxy.reset();
        await wait(Math.random() * 8);
      }

      expect(proxy.accepted).toBeGreaterThan(15);
      await healthyAgain(listening);
      await expectToListen(listening);
    });
  });

  describe("two minutes without a server", () => {
    it("cost a few lines in the log, and are over by themselves", async () => {
      const clock = createManualClock();
      const listening = await listenWell({}, clock);
      const { dispatcher, recorded, logged } = listening;
      let lost = recorded.next("dispatcher:disconnected");
      await proxy.setListening(false);
      let attempts = 0;
      while (clock.now() < 120_000) {
        const { retryInMs } = await lost;
        attempts += 1;
        expect(dispatcher.health()).toMatchObject({
          healthy: false,
          problem: expect.stringContaining("It cannot listen"),
        });
        lost = recorded.next("dispatcher:disconnected");
        await clock.advance(retryInMs);
      }
      // Every 2.5 to 5 s, once the waits have grown.
      expect(attempts).toBeGreaterThan(120 / 5);
      expect(attempts).toBeLessThan(60);
      expect(logged.filter((message) => message === "not listening").length).toBeLessThanOrEqual(5);

      const { retryInMs } = await lost;
      await proxy.setListening(true);
      const again = recorded.next("dispatcher:connected");
      await clock.advance(retryInMs);
      await again;
      expect(dispatcher.health().healthy).toBe(true);
      expect(logged.filter((message) => message === "listening")).toHaveLength(2);
      expect(logged.length).toBeLessThanOrEqual(7);
      await expectToListen(listening);
    });
  });

  describe("a server that connects and drops", () => {
    it("is asked less and less often, and hardly fills the log", async () => {
      const { recorded, logged } = await listenWell();
      const untilMs = performance.now() + 2_000;
      while (performance.now() < untilMs) {
        await killSessions();
        await wait(5);
      }

      // 100, 200, 400, … ms, half of it by chance.
      expect(recorded.of("dispatcher:disconnected").length).toBeGreaterThan(2);
      expect(recorded.of("dispatcher:disconnected").length).toBeLessThan(12);
      expect(logged.filter((message) => message === "not listening")).toHaveLength(1);
      expect(logged.length).toBeLessThan(5);
    });

    it("is asked less and less often when it does not even talk", async () => {
      const { recorded } = await listenWell();
      proxy.dropNew = true;
      proxy.reset();
      const before = proxy.accepted;
      await wait(3_000);

      expect(proxy.accepted - before).toBeLessThan(10);
      expect(recorded.of("dispatcher:disconnected").length).toBeGreaterThan(2);
    });
  });

  describe("start", () => {
    it("gives up on a database that is not there", async () => {
      const connection = new URL(proxy.url);
      connection.pathname = "never_heard_of";

      await expect(listen({ connection: connection.href }).started).rejects.toMatchObject({
        code: "PUP_INVALID_OPTION",
        message: expect.stringContaining("never_heard_of"),
      });
    });

    it("gives up behind a pooler that accepts LISTEN and delivers nothing", async () => {
      const pooler = await startTcpProxy(database.url);
      pooler.judge = withoutNotifications;
      const { started } = listen({ connection: pooler.url });

      await expect(started).rejects.toMatchObject({
        code: "PUP_UNSUPPORTED",
        message: expect.stringContaining("transaction mode"),
      });

      expect(pooler.connections).toBe(0);
      await pooler.close();
    });

    it("waits when the connection dies just then", async () => {
      const listening = listen({}, hasty(10));
      listening.recorded.clear();
      proxy.setHalfOpen(true);
      await listening.recorded.first("dispatcher:disconnected");
      await listening.recorded.next("dispatcher:disconnected");

      proxy.setHalfOpen(false);

      await listening.started;
      await expectToListen(listening);
    });

    it("does not take a connection that dies just then for a pooler", async () => {
      const dying = await startTcpProxy(database.url);
      let sockets = 0;
      const socket = async () => {
        // The first one is to listen. When the second one comes, which is to prove delivery, the first one dies.
        const { url } = ++sockets === 1 ? dying : proxy;
        dying.setHalfOpen(sockets > 1);
        const opened = connect(Number(new URL(url).port), "127.0.0.1");
        await once(opened, "connect");
        return opened;
      };
      const listening = listen({ connection: { url: database.url, socket } }, hasty(5));

      await listening.started;

      expect(listening.recorded.of("dispatcher:disconnected")).toMatchObject([
        { error: { message: "The connection does not answer." } },
      ]);
      await expectToListen(listening);
      await dying.close();
    });

    it("asks for the password once per connection, and lives with one that cannot be fetched", async () => {
      let calls = 0;
      const { hostname, port, pathname, username, password } = new URL(proxy.url);
      const listening = listen({
        connection: {
          host: hostname,
          port: Number(port),
          database: pathname.slice(1),
          user: username,
          password: async () => {
            calls += 1;
            if (calls <= 2) throw new Error("The vault is away.");
            return password;
          },
        },
      });

      await listening.started;

      expect(listening.recorded.of("dispatcher:disconnected")).toMatchObject([
        { error: { message: "The vault is away." } },
        { error: { message: "The vault is away." } },
      ]);
      await expectToListen(listening);
    });

    it("tries one host after the other", async () => {
      const dead = await startTcpProxy(database.url);
      await dead.setListening(false);
      const hosts = [dead, proxy].map(({ url }) => new URL(url).host).join(",");
      const listening = listen({ connection: proxy.url.replace(new URL(proxy.url).host, hosts) });

      await listening.started;

      await expectToListen(listening);
      await dead.close();
    });
  });

  describe("stop", () => {
    it("leaves no session behind", async () => {
      const { dispatcher } = await listenWell({ connection: database.url });
      await expect.poll(countSessions).toBe(1);

      await dispatcher.stop();

      expect(await countSessions()).toBe(0);
    });

    it.each([0, 1, 2, 5, 10, 20, 40, 80])(
      "ends a start that is %d ms under way, and closes its sockets",
      async (delayMs) => {
        const { dispatcher, started } = listen();
        await wait(delayMs);

        await dispatcher.stop();
        await started.catch((error) => expect(error).toMatchObject({ code: "PUP_START_ABORTED" }));

        await expect.poll(() => proxy.connections).toBe(0);
        await expect.poll(countSessions).toBe(0);
      },
    );

    it("does not wait for a server that does not answer", async () => {
      proxy.setHalfOpen(true);
      const { dispatcher, started } = listen();
      await expect.poll(() => proxy.connections).toBe(1);
      const stoppedAtMs = performance.now();

      await dispatcher.stop();

      await expect(started).rejects.toMatchObject({ code: "PUP_START_ABORTED" });
      expect(performance.now() - stoppedAtMs).toBeLessThan(500);
      await expect.poll(() => proxy.connections).toBe(0);
    });

    it("waits a second at most for a connection that has died without a word", async () => {
      const { dispatcher } = await listenWell();
      proxy.setHalfOpen(true);
      const stoppedAtMs = performance.now();

      await dispatcher.stop();

      expect(performance.now() - stoppedAtMs).toBeLessThan(1_500);
      await expect.poll(() => proxy.connections).toBe(0);
    });
  });
});

/** A clock that runs so many times as fast: for waits that would take too long. */
function hasty(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
  };
}

/** Lets no notification through that comes between two answers, as a pooler does that has nobody to give it to. */
function withoutNotifications(data: Buffer, from: Sender): Verdict {
  const NOTIFICATION_RESPONSE = "A".charCodeAt(0);
  return from === "server" && data[0] === NOTIFICATION_RESPONSE ? "swallow" : "pass";
}
