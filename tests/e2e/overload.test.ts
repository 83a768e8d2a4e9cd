// The real agent on a host whose processors are all taken by somebody else for some seconds.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type Result, TimeAgent } from "../agent/helpers/time-agent.ts";

const LOAD_MS = 5000;
/** A load takes this long until every window is full of it, ms. */
const EDGE_MS = 700;
const cores = availableParallelism();

/** Processes that do nothing but run, for LOAD_MS. */
async function busy(count: number): Promise<void> {
  const spin = `const end = Date.now() + ${LOAD_MS}; while (Date.now() < end);`;
  const children = Array.from({ length: count }, () => spawn(process.execPath, ["-e", spin], { stdio: "ignore" }));
  onTestFinished(() => {
    for (const child of children) child.kill("SIGKILL");
  });
  await Promise.all(children.map((child) => new Promise((resolve) => child.once("exit", resolve))));
}

const overloaded = ({ flags }: Result) => flags.includes("host_overloaded");

test("twice as many busy processes as cores: every result meanwhile says so, none blames its target", {
  timeout: 60_000,
}, async (context) => {
  const server = createServer((_request, response) => response.end("ok")).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const plan = { interval_s: 1, params: {} };
  const agent = await TimeAgent.start(context, [
    { ...plan, test_id: "ping", type: "ping", destination: "127.0.0.1", params: { count: 4, interval: 0.2 } },
    { ...plan, test_id: "short", type: "ping", destination: "127.0.0.1", params: { count: 1 } },
    { ...plan, test_id: "tcp", type: "tcp", destination: `127.0.0.1:${port}`, params: { count: 3, interval: 0.2 } },
    { ...plan, test_id: "http", type: "http", destination: `http://127.0.0.1:${port}/` },
    { ...plan, test_id: "refused", type: "tcp", destination: "127.0.0.1:9", params: { count: 1 } },
  ]);
  await agent.until("it runs", () => agent.results("http").length >= 3);
  await pause(2000);
  if (cores > 1) {
    const alone = Date.now();
    await busy(1);
    const beside = agent.results().filter(({ started_at }) => started_at > alone);
    expect(beside.filter(overloaded).length, "one busy core of several").toBeLessThan(beside.length / 4);
  }
  const begun = Date.now();
  await busy(2 * cores);
  const ended = Date.now();
  await pause(3000);
  const during = agent
    .results()
    .filter(({ started_at, duration_ms }) => started_at > begun + EDGE_MS && started_at + duration_ms < ended - EDGE_MS);
  expect(during.length).toBeGreaterThan(8);
  for (const result of during) expect(overloaded(result), JSON.stringify(result)).toBe(true);
  for (const { test_id, status, metrics } of agent.results()) {
    if (test_id === "refused") continue;
    expect({ test_id, status }).toEqual({ test_id, status: "ok" });
    for (const name of ["ping_loss_pct", "tcp_failed_pct"]) expect([0, undefined]).toContain(metrics[name]);
  }
  const calm = agent
    .results()
    .filter(({ started_at, duration_ms }) => started_at + duration_ms < begun - LOAD_MS || started_at > ended + 1500);
  expect(calm.filter(overloaded).length).toBeLessThan(calm.length / 2);
});
