// The real agent while its wall clock is set by a day, its process is stopped, and its host sleeps.
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, type TestContext, test } from "vitest";
import { CAN_MOUNT, CAN_SET, type Planned, type Result, TimeAgent } from "../agent/helpers/time-agent.ts";
import { identity } from "../agent/helpers/web-server.ts";

const DAY = 86_400_000;
/** Times are compared to the true clock of this process, ms. */
const TRUE_MS = 2000;
const CERTIFICATE_ENDS = Date.UTC(2126, 9, 30, 15, 58, 9);

/** A server on loopback for the length of a test; answers its port. */
async function listening({ onTestFinished }: TestContext, server: Server): Promise<number> {
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    onTestFinished(() => {
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const accepting = (context: TestContext): Promise<number> =>
  listening(
    context,
    createServer((socket) => socket.resume()),
  );
const secure = (context: TestContext): Promise<number> =>
  listening(
    context,
    createHttpsServer(identity(), (_request, response) => response.end("ok")),
  );

const ping = (test_id: string, count: number, interval_s: number): Planned => ({
  test_id,
  type: "ping",
  destination: "127.0.0.1",
  params: { count, interval: 0.2, timeout: 1 },
  interval_s,
});

const failed = ({ status, error }: Result) => status === "failed" && error?.source !== "agent";

/** Nothing of a result is the host's doing, but for what its flags tell. */
function isTrue(result: Result, from: number): void {
  expect(result.started_at).toBeGreaterThan(from - TRUE_MS);
  expect(result.started_at + result.duration_ms).toBeLessThan(Date.now() + TRUE_MS);
  expect(result.duration_ms).toBeLessThan(4000);
  expect(failed(result)).toBe(false);
  for (const [name, value] of Object.entries(result.metrics)) {
    if (/_(ms|min|max|median|mean|p95)$/.test(name) && typeof value === "number" && !/rto/.test(name)) {
      expect(value, name).toBeGreaterThanOrEqual(0);
      expect(value, name).toBeLessThan(500);
    }
  }
}

describe.concurrent("the agent", () => {
  test.skipIf(!CAN_SET)(
    "a wall clock set by a day and back, twice: times, durations, cadence, certificates, token and lease hold",
    { timeout: 60_000 },
    async (context) => {
      const web = await secure(context);
      const begun = Date.now();
      const agent = await TimeAgent.start(context, [
        ping("ping", 9, 2),
        {
          test_id: "tcp",
          type: "tcp",
          destination: `127.0.0.1:${await accepting(context)}`,
          params: { count: 3 },
          interval_s: 2,
        },
        { test_id: "tls", type: "tls", destination: `localhost:${web}`, params: {}, interval_s: 2 },
        { test_id: "http", type: "http", destination: `https://localhost:${web}/`, params: {}, interval_s: 2 },
      ]);
      // Somebody watches: while the lease holds, a heartbeat comes every 5 s, else every minute.
      agent.edge.heartbeat = { live_until: begun + 90_000 };
      await agent.until("first results", () => new Set(agent.results().map(({ test_id }) => test_id)).size === 4);
      for (const wall of ["+1d", "-1d", "+0"]) {
        const before = agent.results().length;
        agent.setWall(wall);
        await agent.until(`results at ${wall}`, () => agent.results().length >= before + 8);
      }
      const results = agent.results();
      for (const result of results) isTrue(result, begun);
      const steps = results.filter(({ flags }) => flags.includes("clock_step"));
      expect(steps.length).toBeGreaterThanOrEqual(3);
      for (const { detail } of steps) {
        expect(Math.abs((detail.conditions as { clock_stepped_ms: number }).clock_stepped_ms) % DAY).toSatisfy(
          (rest: number) => rest < 1000 || rest > DAY - 1000,
        );
      }
      expect(results.some(({ flags }) => flags.includes("clock_corrected") && !flags.includes("clock_step"))).toBe(true);
      expect(results.some(({ flags }) => flags.length === 0)).toBe(true);
      for (const id of ["tcp", "tls", "http", "ping"]) {
        const times = agent.results(id).map(({ started_at }) => started_at);
        const gaps = times.slice(2).map((time, index) => time - (times[index + 1] ?? 0));
        expect(Math.max(...gaps), id).toBeLessThan(3500);
        expect(Math.min(...gaps), id).toBeGreaterThan(500);
      }
      const days = (result: Result) => Math.floor((CERTIFICATE_ENDS - result.started_at) / DAY);
      for (const result of [...agent.results("tls"), ...agent.results("http")]) {
        // A day back the certificate may not have begun, by OpenSSL's clock: that is nobody's verdict on it.
        const doubt = { tls_authorized: null, tls_error: "HOST_CLOCK_WRONG" };
        const verdict = result.metrics.tls_error === null ? { tls_authorized: true } : doubt;
        expect(result.metrics).toMatchObject({ cert_days_left: days(result), ...verdict });
      }
      expect(agent.edge.registrations).toHaveLength(1);
      expect(agent.edge.calls.filter((call) => call === "heartbeat").length).toBeGreaterThanOrEqual(3);
    },
  );

  test.skipIf(!CAN_SET)(
    "an agent that starts with a clock a day off: what it measured before its first contact has its true time too",
    { timeout: 60_000 },
    async (context) => {
      const begun = Date.now();
      const running = await TimeAgent.start(context, [ping("ping", 2, 1)], { wall: "-1d" });
      await running.until("results", () => running.results().length >= 4);
      for (const result of running.results()) isTrue(result, begun);
      expect(running.results().every(({ flags }) => flags.includes("clock_corrected"))).toBe(true);
      for (const sample of running.samples()) expect(Math.abs(Number(sample.started_at) - begun)).toBeLessThan(20_000);
      expect(JSON.stringify(running.edge.items)).not.toContain("clock_mark");
    },
  );

  test("a process stopped for eight seconds, as a paused machine's: flagged, nothing lost, no target down, no burst", {
    timeout: 60_000,
  }, async (context) => {
    const port = await accepting(context);
    const agent = await TimeAgent.start(context, [
      ping("long", 40, 10),
      { test_id: "tcp", type: "tcp", destination: `127.0.0.1:${port}`, params: { count: 40, interval: 0.2 }, interval_s: 10 },
      ping("short", 2, 1),
    ]);
    // All tests begin when the agent has registered.
    await agent.until("it begins", () => agent.edge.registrations.length === 1);
    await pause(2000);
    agent.signal("SIGSTOP");
    await pause(8000);
    agent.signal("SIGCONT");
    const resumed = Date.now();
    await agent.until("suspended runs told", () =>
      ["long", "tcp"].every((id) => agent.results(id).some(({ flags }) => flags.includes("host_suspended"))),
    );
    await agent.until("it goes on", () => agent.results("short").some(({ started_at }) => started_at > resumed + 3000));
    for (const result of agent.results()) {
      expect(failed(result)).toBe(false);
      for (const name of ["ping_loss_pct", "tcp_failed_pct"]) expect([0, null, undefined]).toContain(result.metrics[name]);
    }
    const cut = agent.results("tcp").find(({ flags }) => flags.includes("host_suspended"));
    expect(cut).toMatchObject({ status: "failed", error: { code: "host_overloaded", source: "agent" } });
    expect(cut?.metrics.tcp_connect_ms).toBeNull();
    const after = agent.results("short").filter(({ started_at }) => started_at >= resumed - 500 && started_at < resumed + 3000);
    expect(after.length).toBeLessThanOrEqual(4);
  });

  test.skipIf(!CAN_SET || !CAN_MOUNT)(
    "a host that slept an hour, by its time since boot: flagged as sleep, not as a set clock",
    { timeout: 60_000 },
    async (context) => {
      const agent = await TimeAgent.start(context, [ping("long", 20, 5), ping("short", 2, 1)], { sleeps: true });
      await agent.until("it begins", () => agent.edge.registrations.length === 1);
      await pause(2000);
      agent.sleep(3600);
      await agent.until("told", () => agent.results().some(({ flags }) => flags.includes("host_suspended")));
      const slept = agent.results().filter(({ flags }) => flags.includes("host_suspended"));
      expect(slept.every(({ flags }) => !flags.includes("clock_step"))).toBe(true);
      for (const { detail } of slept) {
        expect((detail.conditions as { away_ms: number }).away_ms).toBeGreaterThan(3_599_000);
        expect((detail.conditions as { away_ms: number }).away_ms).toBeLessThan(3_601_000);
      }
      for (const result of agent.results()) expect(failed(result)).toBe(false);
    },
  );
});
