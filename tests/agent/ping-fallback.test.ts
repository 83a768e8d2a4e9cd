// Where ICMP is not possible: other tools, then TCP handshakes under names of their own. Real sockets, on loopback only.
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { Budget } from "../../agent/budget.ts";
import { findTool } from "../../agent/exec.ts";
import { parsePing } from "../../agent/parsers/ping.ts";
import { ping } from "../../agent/probes/ping.ts";
import { readPing, withoutUndecided } from "../../agent/probes/ping-metrics.ts";
import { tcpPing } from "../../agent/probes/ping-tcp.ts";
import { runTest } from "../../agent/runner.ts";
import { CLI, type CliResult, cli, fakeTools, run } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { runContext } from "./helpers/run-context.ts";

const read = (stdout: string): CliResult => JSON.parse(stdout) as CliResult;

const VERSION = `[ "$1" = -V ] && echo 'ping from iputils 20221126' && exit 0`;
const DENIED = `${VERSION}\necho 'ping: socket: Operation not permitted' >&2; exit 2`;
const probe = (tools: Record<string, string>, ...args: string[]) =>
  cli(["probe", "ping", "127.0.0.1", ...args, "--json"], { STREAMSWARM_TOOL_PATH: fakeTools(tools) });

describe("handshakes", () => {
  const order = { address: "127.0.0.1", family: 4, count: 3, interval: 0.2, timeout: 1 } as const;

  test("a refusal answers: port 443 is taken, on schedule", async () => {
    const seen: number[] = [];
    const start = performance.now();
    const signal = new AbortController().signal;
    const result = await tcpPing({ ...order, signal, onAnswer: (index) => seen.push(index) });
    expect(result.port).toBe(443);
    expect(result.rtts).toHaveLength(3);
    for (const rtt of result.rtts) expect(rtt).toBeGreaterThan(0);
    expect(seen).toEqual([0, 1, 2]);
    expect(performance.now() - start).toBeGreaterThan(390);
  });

  test("it ends at once when stopped", async () => {
    const stop = new AbortController();
    const start = performance.now();
    await tcpPing({ ...order, count: 100, signal: stop.signal, onAnswer: () => stop.abort() });
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

/** In a network namespace of its own: port 443 is silent; with `all`, every port of 127.66.0.1. */
const SILENT = (rule: string) =>
  `ip link set lo up && nft add table ip t && nft add chain ip t i '{type filter hook input priority 0;}' && nft add rule ip t i ${rule} drop && exec "$@"`;
const namespaced = (rule: string, ...command: string[]) => run("unshare", ["-n", "sh", "-c", SILENT(rule), "sh", ...command]);
const canDrop = process.platform === "linux" && (await namespaced("tcp dport 443", "true")).code === 0;

describe.skipIf(!canDrop)("in a network namespace (needs root, nft)", () => {
  const args = (address: string) => [process.execPath, CLI, "probe", "ping", address, "--count", "3", "--timeout", "1", "--json"];
  const silent = (rule: string, address: string) =>
    namespaced(rule, "env", `STREAMSWARM_TOOL_PATH=${fakeTools({ ping: DENIED })}`, "NODE_NO_WARNINGS=1", ...args(address));

  test("port 80 stands in where 443 is silent", async () => {
    const result = read((await silent("tcp dport 443", "127.0.0.1")).stdout);
    expect(calm(result)).toMatchObject({ status: "partial", flags: ["tcp_fallback"] });
    expect(result.metrics).toMatchObject({ tcp_ping_port: 80, tcp_ping_sent: 3, tcp_ping_received: 3, tcp_ping_loss_pct: 0 });
  });

  test("where neither answers, nothing is claimed, and it still says why ICMP was not used", async () => {
    const { stdout, code } = await silent("ip daddr 127.66.0.1", "127.66.0.1");
    const result = read(stdout);
    expect(code).toBe(3);
    expect(result).toMatchObject({ status: "failed", error: { code: "no_permission" } });
    expect(result.error?.message).toContain("nor did TCP port 443 or 80 answer");
    expect(result.metrics).toMatchObject({ ping_loss_pct: null, tcp_ping_loss_pct: null, tcp_ping_sent: null });
    expect(result.reasons).toMatchObject({ ping_loss_pct: "no_permission", tcp_ping_loss_pct: "timeout" });
    expect(result.duration_ms).toBeLessThan(1800);
  });

  test("a connection nobody answers leaves no socket behind", async () => {
    // State 02 of /proc/net/tcp is SYN_SENT, which the kernel would keep for two minutes.
    const script = `
      import { readFileSync } from "node:fs";
      import { tcpPing } from ${JSON.stringify(new URL("../../agent/probes/ping-tcp.ts", import.meta.url).href)};
      const order = { address: "127.66.0.1", family: 4, count: 3, interval: 0.05, timeout: 0.2, signal: new AbortController().signal };
      const { port } = await tcpPing(order);
      const states = readFileSync("/proc/net/tcp", "utf8").trim().split("\\n").slice(1).map((line) => line.trim().split(/ +/)[3]);
      console.log(JSON.stringify({ port, waiting: states.filter((state) => state === "02").length }));
      process.exit();`;
    const { stdout } = await namespaced("ip daddr 127.66.0.1", process.execPath, "--input-type=module", "-e", script);
    expect(JSON.parse(stdout)).toEqual({ port: null, waiting: 0 });
  });

  test("what this host itself cannot send is no loss", async () => {
    const routeless = read((await silent("tcp dport 443", "192.0.2.1")).stdout);
    expect(routeless.metrics).toMatchObject({ tcp_ping_sent: null, tcp_ping_loss_pct: null });
    expect(routeless.reasons).toMatchObject({ tcp_ping_loss_pct: "no_route", tcp_ping_median: "no_route" });
    expect(routeless.error?.message).toMatch(/nor could TCP be tried in its place: this host has no route/);
  });
});

describe("other tools", () => {
  const lines = `echo '127.0.0.1 : [0], 72 bytes, 0.103 ms (0.103 avg, 0% loss)'; echo '127.0.0.1 : 0.103 -' >&2`;
  const fping = (version: string) => `[ "$1" = -v ] && echo 'fping: Version ${version}' && exit 0\n${lines}`;

  test("fping measures where there is no ping", async () => {
    const result = read((await probe({ fping: fping("5.2") }, "--count", "2")).stdout);
    expect(result).toMatchObject({ status: "partial", error: null, detail: { tool: "fping 5.2", rtts: [0.103, null] } });
    expect(result.metrics).toMatchObject({ ping_loss_pct: 50, ping_method: "icmp", tcp_ping_sent: null });
  });

  test("an fping that invents loss is not asked", async () => {
    const { code, stdout } = await probe({ fping: fping("5.1") }, "--count", "2");
    expect(code).toBe(3);
    expect(read(stdout)).toMatchObject({ error: { code: "tool_missing" }, metrics: { ping_loss_pct: null, tcp_ping_sent: 2 } });
  });

  test("a killed tool is neither a loss nor a reason for TCP", async () => {
    const { code, stdout } = await probe({ ping: `${VERSION}\nkill -9 $$` }, "--count", "2");
    expect(code).toBe(1);
    expect(calm(read(stdout))).toMatchObject({
      status: "failed",
      error: { code: "tool_failed", source: "tool" },
      metrics: { ping_loss_pct: null, ping_rtt_median: null, tcp_ping_sent: null },
      flags: [],
    });
  });

  test("endless garbage ends in time and says nothing", async () => {
    const { stdout } = await probe(
      { ping: `${VERSION}\nyes '64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.1 ms'` },
      "--count",
      "1",
      "--timeout",
      "0.5",
    );
    const result = read(stdout);
    expect(result.metrics.ping_loss_pct).toBeNull();
    expect(result.duration_ms).toBeLessThan(3000);
  });
});

test.skipIf(process.platform !== "linux")("a tool that only waits for what is overdue is ended", async () => {
  const answer = (sequence: number) => `echo '64 bytes from 127.0.0.1: icmp_seq=${sequence} ttl=64 time=0.050 ms'`;
  const summary = `echo; echo '--- 127.0.0.1 ping statistics ---'; echo '5 packets transmitted, 4 received, 20% packet loss, time 801ms'; exit 0`;
  const script = [
    VERSION,
    `trap "${summary}" INT`,
    "echo 'PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.'",
    ...[1, 3, 4, 5].map(answer),
    "while :; do sleep 0.05; done",
  ].join("\n");
  const tools = `${fakeTools({ ping: script })}:/bin:/usr/bin`;
  // The time-out of request 2 is over when request 5 leaves.
  const args = ["probe", "ping", "127.0.0.1", "--count", "5", "--timeout", "0.5", "--packet-size", "56", "--json"];
  const result = read((await cli(args, { STREAMSWARM_TOOL_PATH: tools })).stdout);
  expect(calm(result)).toMatchObject({ status: "partial", error: null, metrics: { ping_sent: 5, ping_received: 4 }, flags: [] });
  expect(result.detail.rtts).toEqual([0.05, null, 0.05, 0.05, 0.05]);
  expect(result.duration_ms).toBeLessThan(1300);
});

describe.skipIf(findTool("ping") === undefined)("the run's time", () => {
  const context = (ms: number, stop = new AbortController()) => runContext(new Budget(ms, stop.signal));
  const params = { packet_size: 64, count: 50, interval: 0.2, timeout: 1 };

  test("at its deadline it tells what it measured until then", async () => {
    const start = performance.now();
    const outcome = await ping.run("127.0.0.1", params, context(1000));
    expect(performance.now() - start).toBeLessThan(1600);
    expect(outcome).toMatchObject({ status: "partial", error: { code: "deadline", source: "agent" } });
    const sent = Number(outcome.metrics.ping_sent);
    expect(sent).toBeGreaterThan(1);
    expect(sent).toBeLessThan(50);
    expect(outcome.metrics.ping_received).toBe(sent);
    expect(new Set(Object.keys(outcome.metrics))).toEqual(new Set(metricsOf("ping")));
  });

  test("requests still under way when it is stopped are not called lost", () => {
    const replies = [0, 2].map((index) => ({ index, bytes: 72, rtt: 1 }));
    const text = [
      "PING 192.0.2.1 (192.0.2.1) 64(92) bytes of data.",
      ...replies.map(({ index }) => `72 bytes from 192.0.2.1: icmp_seq=${index + 1} ttl=64 time=1.00 ms`),
      "--- 192.0.2.1 ping statistics ---",
      "5 packets transmitted, 2 received, 60% packet loss, time 4000ms",
      "rtt min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms\n",
    ].join("\n");
    const reading = readPing(parsePing(text), { packet_size: 64, timeout: 2, family: 4 }, 5);
    if (reading === undefined) throw new Error("the output was not read");
    expect(reading.answered).toEqual([true, false, true, false, false]);
    expect(withoutUndecided(reading, { interval: 1, timeout: 2 })).toMatchObject({ sent: 3, answered: [true, false, true] });
    expect(withoutUndecided(reading, { interval: 1, timeout: 1 })).toMatchObject({ sent: 4, rtts: [1, null, 1, null] });
  });

  test("stopped from outside it says so, and what it saw until then", async () => {
    const stop = new AbortController();
    const order = { type: "ping", destination: "127.0.0.1", params: { count: 50 } };
    const result = await runTest(order, stop.signal, { watch: () => stop.abort() });
    expect(result).toMatchObject({ status: "partial", error: { code: "aborted" }, metrics: { ping_loss_pct: 0 } });
    expect(result.metrics.ping_sent).toBe(result.metrics.ping_received);
  });
});

test("an accepted connection is reset, not left to the server's time-outs", async () => {
  // The fallback's ports belong to root; the same handshake is seen by a server of our own through port 443 where that is free.
  const server = createServer();
  const closed = new Promise<string>((resolve) => {
    server.on("connection", (socket) => socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")));
  });
  server.listen(443, "127.0.0.1");
  const opened = await Promise.race([once(server, "listening").then(() => true), once(server, "error").then(() => false)]);
  const result = await tcpPing({
    address: "127.0.0.1",
    family: 4,
    count: 1,
    interval: 0.2,
    timeout: 1,
    signal: new AbortController().signal,
  });
  expect(result).toMatchObject({ port: 443, rtts: [expect.any(Number)] });
  if (opened) {
    expect(await closed).toBe("ECONNRESET");
    server.close();
  }
});
