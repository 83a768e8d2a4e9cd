// tcp by the real command line against real sockets on loopback.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { testType } from "#contract/test-types/index";
import { tcp as tcpType } from "#contract/test-types/tcp";
import { tls as tlsType } from "#contract/test-types/tls";
import { Budget } from "../../agent/budget.ts";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool } from "../../agent/exec.ts";
import { tcp } from "../../agent/probes/tcp.ts";
import { tls } from "../../agent/probes/tls.ts";
import { runTest } from "../../agent/runner.ts";
import { CLI, cli, type Ended, fakeTools, run, scratch } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { runContext } from "./helpers/run-context.ts";

const ss = findTool("ss");
const hasSs = process.platform === "linux" && ss !== undefined;

const servers: Server[] = [];
const accepted = new Set<Socket>();

/** A server on loopback; answers its port. */
async function serve(onSocket: (socket: Socket) => void, host = "127.0.0.1"): Promise<number> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    accepted.add(socket);
    socket.on("error", () => socket.destroy());
    onSocket(socket);
  });
  servers.push(server);
  server.listen(0, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const socket of accepted) socket.destroy();
  accepted.clear();
  for (const server of servers.splice(0)) server.close();
});

/** A port nobody listens on. */
async function closedPort(): Promise<number> {
  const port = await serve(() => undefined);
  const server = servers.pop();
  server?.close();
  return port;
}

const json = ({ stdout }: Ended): Measurement => JSON.parse(stdout) as Measurement;

/** One run by the runner, in this process. */
const probe = (destination: string, params: Record<string, unknown> = {}): Promise<Measurement> =>
  runTest({ type: "tcp", destination, params }, new AbortController().signal);

const everyMetricExplained = (result: Pick<Measurement, "metrics" | "reasons">) => {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("tcp")));
  for (const name of metricsOf("tcp")) {
    if (result.metrics[name] === null) expect(result.reasons[name], name).toBeTypeOf("string");
    else expect(result.reasons[name], name).toBeUndefined();
  }
};

/** ss that leaves a mark each time it is started. */
const countedSs = (marker: string) => fakeTools({ ss: `echo x >> ${marker}; exec ${ss} "$@"` });

const TIMES = [
  "tcp_connect_ms",
  "tcp_connect_min",
  "tcp_connect_p95",
  "tcp_connect_max",
  "tcp_min_rtt_ms",
  "tcp_srtt_ms",
  "tcp_rto_ms",
] as const;

describe("probe tcp on loopback", () => {
  test.skipIf(!hasSs)("five connects, the kernel's figures, one call of ss, no TIME-WAIT (needs ss)", async () => {
    const port = await serve(() => undefined);
    const marker = join(scratch(), "ss");
    const ended = await cli(["probe", "tcp", `127.0.0.1:${port}`, "--json"], { STREAMSWARM_TOOL_PATH: countedSs(marker) });
    const result = json(ended);
    expect({ code: ended.code, stderr: ended.stderr, lines: ended.stdout.trim().split("\n").length }).toEqual({
      code: 0,
      stderr: "",
      lines: 1,
    });
    expect(result).toMatchObject({ status: "ok", address: "127.0.0.1", error: null });
    expect(result.metrics).toMatchObject({
      tcp_attempts: 5,
      tcp_connected: 5,
      tcp_failed_pct: 0,
      tcp_port: port,
      tcp_syn_retrans: 0,
    });
    expect(Number(result.metrics.tcp_connect_ms)).toBeGreaterThan(0);
    expect(Number(result.metrics.tcp_connect_ms)).toBeLessThan(50);
    expect(Number(result.metrics.tcp_min_rtt_ms)).toBeLessThan(Number(result.metrics.tcp_connect_ms));
    expect(Number(result.metrics.tcp_mss)).toBeGreaterThan(500);
    expect(result.reasons.tcp_connect_p95).toBe("too_few_samples");
    expect(result.detail.connects).toHaveLength(5);
    expect(readFileSync(marker, "utf8").trim().split("\n").length).toBeLessThanOrEqual(2);
    const { stdout } = await run(ss ?? "", ["-Htan", "state", "time-wait", `( dport = :${port} or sport = :${port} )`]);
    expect(stdout.trim()).toBe("");
    everyMetricExplained(result);
  });

  test("p95 from twenty connects on", async () => {
    const port = await serve(() => undefined);
    const result = await probe("127.0.0.1", { port, count: 20, interval: 0.05 });
    expect(result.metrics).toMatchObject({ tcp_connected: 20, tcp_port: port });
    expect(result.metrics.tcp_connect_p95).toBeTypeOf("number");
  });

  test("IPv6 with a port in brackets; the rows of a terminal", async () => {
    const port = await serve(() => undefined, "::1");
    const { code, stdout } = await cli(["probe", "tcp", `[::1]:${port}`, "--count", "2", "--interval", "0.05"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/connect 2 +[\d.]+ ms +connected/);
    expect(stdout).toMatch(/2 of 2 connected/);
  });

  test.skipIf(!hasSs)("sent bytes are watched until they are acknowledged, under their true names (needs ss)", async () => {
    const port = await serve((socket) => socket.resume());
    const result = await probe(`127.0.0.1:${port}`, { count: 1, send_bytes: 500_000 });
    expect(result).toMatchObject({ status: "ok", detail: { send: { bytes: 500_000, acked: 500_000, complete: true } } });
    // Read eight bytes too late, tcp_info gives a window of milliseconds and tens of thousands of retransmissions.
    expect(result.metrics).toMatchObject({ tcp_retrans_segs: 0, tcp_retrans_pct: 0, tcp_dsack_dups: 0, tcp_lost: 0 });
    expect(Number(result.metrics.tcp_srtt_ms)).toBeGreaterThan(0);
    expect(Number(result.metrics.tcp_srtt_ms)).toBeLessThan(100);
    expect(Number(result.metrics.tcp_cwnd_last)).toBeGreaterThanOrEqual(10);
    expect(Number(result.metrics.tcp_pmtu)).toBeGreaterThan(1000);
    everyMetricExplained(result);
  });
});

test("a DSCP is set on what is sent, and said to mark nothing where nothing is", async () => {
  const port = await serve((socket) => socket.resume());
  const marked = { count: 1, dscp: 46 };
  expect(calm(await probe(`127.0.0.1:${port}`, marked)).flags).toEqual(["dscp_marks_data_only"]);
  const sent = await probe(`127.0.0.1:${port}`, { ...marked, send_bytes: 1000 });
  expect(calm(sent)).toMatchObject({ status: "ok", flags: [] });
});

describe("failures are told apart", () => {
  test("a closed port has no time of any kind", async () => {
    const port = await closedPort();
    const { code, stdout } = await cli(["probe", "tcp", `127.0.0.1:${port}`, "--count", "3", "--interval", "0.05", "--json"]);
    const result = JSON.parse(stdout) as Measurement;
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "failed", error: { code: "refused", source: "target" } });
    expect(result.metrics).toMatchObject({ tcp_attempts: 3, tcp_connected: 0, tcp_failed_pct: 100, tcp_error: "ECONNREFUSED" });
    for (const name of TIMES) expect([name, result.metrics[name], result.reasons[name]]).toEqual([name, null, "refused"]);
    const numbers = Object.entries(result.metrics).filter(([, value]) => typeof value === "number");
    expect(numbers.map(([name]) => name).sort()).toEqual(["tcp_attempts", "tcp_connected", "tcp_failed_pct", "tcp_port"]);
    everyMetricExplained(result);
  });

  test("a peer that resets what it accepted", async () => {
    const port = await serve((socket) => socket.resetAndDestroy());
    const result = await probe(`127.0.0.1:${port}`, { count: 2, interval: 0.1 });
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "reset", source: "target" },
      metrics: { tcp_error: "ECONNRESET" },
    });
  });

  test.skipIf(!hasSs)("what a peer has reset, ss cannot show: the peer's doing, not that of ss (needs ss)", async () => {
    const port = await serve((socket) => setTimeout(() => socket.resetAndDestroy(), 20));
    // Asked for while they are open, and reset before it looks.
    const tools = fakeTools({ ss: `/bin/sleep 0.1; exec ${ss} "$@"` });
    const args = ["probe", "tcp", `127.0.0.1:${port}`, "--count", "35", "--interval", "0.05", "--json"];
    const result = json(await cli(args, { STREAMSWARM_TOOL_PATH: tools }));
    expect(result).toMatchObject({ error: { code: "reset" }, metrics: { tcp_connected: 35 }, detail: { kernel_figures: null } });
    expect(result.reasons).toMatchObject({ tcp_min_rtt_ms: "refused", tcp_syn_retrans: "refused", tcp_mss: "refused" });
    everyMetricExplained(result);
  });

  test("some connects fail: partial, and it says how many", async () => {
    let served = 0;
    const port = await serve((socket) => {
      served += 1;
      if (served === 1) socket.resetAndDestroy();
    });
    expect(await probe(`127.0.0.1:${port}`, { count: 3, interval: 0.1 })).toMatchObject({
      status: "partial",
      error: { code: "reset", message: expect.stringMatching(/^1 of 3 /) },
    });
  });

  test.skipIf(!hasSs)("a peer that closes at once was reached all the same (needs ss)", async () => {
    const port = await serve((socket) => socket.end("220 bye\r\n"));
    const result = await probe(`127.0.0.1:${port}`, { count: 2, interval: 0.1 });
    expect(result.status).toBe("ok");
    expect(result.metrics.tcp_min_rtt_ms).toBeTypeOf("number");
  });

  test("a peer that floods is neither read nor waited for", async () => {
    const port = await serve((socket) => {
      const flood = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1 << 20)));
      };
      socket.on("drain", flood);
      flood();
    });
    const { status, duration_ms } = await probe(`127.0.0.1:${port}`, { count: 3, interval: 0.1 });
    expect(status).toBe("ok");
    expect(duration_ms).toBeLessThan(3000);
  });

  test("a peer that never reads ends with the time there is", async () => {
    const port = await serve(() => undefined);
    const params = tcpType.params.parse({ count: 1, send_bytes: 16 * 1024 * 1024 });
    const budget = new Budget(1500, new AbortController().signal);
    const context = runContext(budget);
    const start = performance.now();
    const outcome = await tcp.run(`127.0.0.1:${port}`, params, context);
    expect(performance.now() - start).toBeGreaterThan(1350);
    expect(performance.now() - start).toBeLessThan(1650);
    expect(outcome).toMatchObject({ status: "partial", error: { code: "deadline", source: "network" } });
    if (hasSs) expect(outcome.metrics).toMatchObject({ tcp_limited_by: "receiver" });
    expect(budget.spent).toEqual(["send"]);
  });

  test("stopped from outside it ends at once", async () => {
    const port = await serve(() => undefined);
    const child = spawn(process.execPath, [
      CLI,
      "probe",
      "tcp",
      `127.0.0.1:${port}`,
      "--count",
      "100",
      "--interval",
      "1",
      "--json",
    ]);
    const out: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    const [server] = servers;
    if (server !== undefined) await once(server, "connection");
    const stopped = performance.now();
    child.kill("SIGINT");
    await once(child, "close");
    expect(performance.now() - stopped).toBeLessThan(2000);
    expect(JSON.parse(Buffer.concat(out).toString())).toMatchObject({ error: { code: "aborted", source: "agent" } });
  });
});

describe("stopped while its name is looked up", () => {
  const context = runContext(new Budget(5000, AbortSignal.abort()));
  const aborted = { status: "failed", error: { code: "aborted", source: "agent" } };
  test("tcp", async () => expect(await tcp.run("name.invalid", tcpType.params.parse({}), context)).toMatchObject(aborted));
  test("tls", async () => expect(await tls.run("name.invalid", tlsType.params.parse({}), context)).toMatchObject(aborted));
});

test("a run takes a place for each connection that may be open at once", () => {
  const params = { port: 443, count: 5, interval: 0.2, timeout: 3, send_bytes: 0 };
  expect(tcp.places(params)).toEqual({ sockets: 5 });
  expect(tcp.places({ ...params, count: 100, interval: 5, send_bytes: 1 })).toEqual({ sockets: 1, path: 1 });
  expect(tcp.places({ ...params, count: 100, interval: 2 })).toEqual({ sockets: 3 });
  expect(tcp.places({ ...params, count: 100, interval: 0.05 })).toEqual({ sockets: 16 });
});

/** A network namespace of its own: nothing answers on 127.66.0.1, and TCP to port 9443 is dropped. */
const FIREWALL = `ip link set lo up && nft add table ip t && nft add chain ip t i '{type filter hook input priority 0;}' && nft add rule ip t i ip daddr 127.66.0.1 drop && nft add rule ip t i tcp dport 9443 drop && exec "$@"`;
const namespaced = (...args: string[]) => run("unshare", ["-n", "sh", "-c", FIREWALL, "sh", process.execPath, CLI, ...args]);
const canFilter = process.platform === "linux" && (await run("unshare", ["-n", "sh", "-c", FIREWALL, "sh", "true"])).code === 0;

describe.skipIf(!canFilter)("in a network namespace (needs root, nft)", () => {
  const silent = ["--count", "3", "--interval", "0.2", "--timeout", "1.5", "--json"];

  test("silence of a host that is alive is a firewall's", async () => {
    const result = json(await namespaced("probe", "tcp", "127.0.0.1:9443", ...silent));
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "filtered", source: "network" },
      metrics: { tcp_error: "ETIMEDOUT" },
    });
    expect(result.reasons.tcp_connect_ms).toBe("timeout");
    everyMetricExplained(result);
  });

  test("silence of everything is no reply, in (count − 1) · interval + time-out", async () => {
    const result = json(await namespaced("probe", "tcp", "127.66.0.1:9443", ...silent));
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(result.duration_ms).toBeGreaterThan(1800);
    expect(result.duration_ms).toBeLessThan(2300);
    expect(result.metrics).toMatchObject({ tcp_attempts: 3, tcp_connected: 0 });
    for (const name of TIMES) expect([name, result.metrics[name]]).toEqual([name, null]);
  });

  test("no route is this host's", async () => {
    const result = json(await namespaced("probe", "tcp", "192.0.2.1", "--count", "1", "--json"));
    expect(result).toMatchObject({ error: { code: "no_route", source: "agent" }, reasons: { tcp_connect_ms: "no_route" } });
    // Nothing was sent, so nothing failed on the way.
    expect(result.metrics).toMatchObject({ tcp_attempts: null, tcp_failed_pct: null, tcp_error: "ENETUNREACH" });
    expect(result.reasons).toMatchObject({ tcp_attempts: "no_route", tcp_failed_pct: "no_route" });
    expect(result.duration_ms).toBeLessThan(1000);
  });
});

describe.skipIf(process.platform !== "linux")("without a good ss, connects are measured all the same (ss is Linux's)", () => {
  const faults: [string, Record<string, string>, string][] = [
    ["missing", {}, "tool_missing"],
    ["killed", { ss: "kill -9 $$" }, "unsupported"],
    ["garbage", { ss: "echo 'ESTAB 0 0 here:there yonder rto:x rtt:1e9/-4'; head -c 3000 /bin/sh" }, "unsupported"],
    ["failing", { ss: "echo 'RTNETLINK answers: Operation not permitted' >&2; exit 255" }, "unsupported"],
    [
      "of other sockets",
      { ss: `i=0; while [ $i -lt 2000 ]; do echo "ESTAB 0 0 a:1 b:2 rto:1 cwnd:99999999999999999999"; i=$((i+1)); done` },
      "unsupported",
    ],
  ];
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test.each(faults)("%s", async (_name, tools, reason) => {
    const port = await serve((socket) => socket.resume());
    vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(tools));
    const result = await probe(`127.0.0.1:${port}`, { count: 1, send_bytes: 1000 });
    expect(result).toMatchObject({ status: "ok", error: null });
    expect(result.metrics).toMatchObject({ tcp_connected: 1, tcp_min_rtt_ms: null, tcp_retrans_segs: null, tcp_cwnd_last: null });
    expect(result.metrics.tcp_connect_ms).toBeTypeOf("number");
    expect(result.reasons.tcp_min_rtt_ms).toBe(reason);
    everyMetricExplained(result);
  });

  test("missing: people are told how to get it", async () => {
    const port = await serve(() => undefined);
    const { code, stdout } = await cli(["probe", "tcp", `127.0.0.1:${port}`, "--count", "1"], {
      STREAMSWARM_TOOL_PATH: fakeTools({}),
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/kernel +its figures need ss; install/);
  });

  test("one that never ends is killed, and not asked again", async () => {
    const pids = join(scratch(), "pids");
    const port = await serve(() => undefined);
    vi.stubEnv(
      "STREAMSWARM_TOOL_PATH",
      `${fakeTools({ ss: `trap '' INT; echo $$ >> ${pids}; sleep 60; sleep 60` })}:/bin:/usr/bin`,
    );
    const result = await probe(`127.0.0.1:${port}`, { count: 2, interval: 1.1 });
    expect(result).toMatchObject({
      status: "ok",
      metrics: { tcp_connected: 2, tcp_min_rtt_ms: null },
      reasons: { tcp_min_rtt_ms: "timeout" },
    });
    const started = readFileSync(pids, "utf8").trim().split("\n");
    expect(started).toHaveLength(1);
    const stat = `/proc/${started[0]}/stat`;
    await expect.poll(() => existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, "utf8"))).toBe(false);
  });
});

describe("wrong arguments exit 2, name the option and connect to nobody", () => {
  const wrong: [string[], string][] = [
    [["127.0.0.1:0"], "destination"],
    [["127.0.0.1:65536"], "destination"],
    [["[127.0.0.1]:80"], "destination"],
    [["http://127.0.0.1/"], "destination"],
    [["127.0.0.1", "--port", "0"], "--port"],
    [["127.0.0.1", "--count", "0"], "--count"],
    [["127.0.0.1", "--count", "101"], "--count"],
    [["127.0.0.1", "--interval", "0.01"], "--interval"],
    [["127.0.0.1", "--timeout", "61"], "--timeout"],
    [["127.0.0.1", "--send-bytes", "16777217"], "--send-bytes"],
    [["127.0.0.1", "--send-bytes", "-1"], "--send-bytes"],
    [["127.0.0.1", "--dscp", "64"], "--dscp"],
    [["127.0.0.1", "--ip-version", "6"], "--ip-version"],
    [["[::1]:80", "--ip-version", "4"], "--ip-version"],
  ];
  test.each(wrong)("%j", ([destination = "", flag, value], named) => {
    const name = (flag ?? "").replace(/^--/, "").replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    expect(() => readParameters("tcp", destination, flag === undefined ? {} : { [name]: value })).toThrow(named);
  });

  test("by the program itself", async () => {
    let connections = 0;
    const port = await serve(() => {
      connections += 1;
    });
    const marker = join(scratch(), "spawned");
    const tools = fakeTools({ ss: `touch ${marker}`, ping: `touch ${marker}` });
    const { code, stdout, stderr } = await cli(["probe", "tcp", `127.0.0.1:${port}`, "--count", "0"], {
      STREAMSWARM_TOOL_PATH: tools,
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--count");
    expect([connections, existsSync(marker)]).toEqual([0, false]);
  });

  test("more connects than an interval holds", () => {
    const params = tcpType.params.parse({ count: 30, interval: 0.5 });
    expect(testType("tcp").check("host.example", params, 10)).toMatchObject([{ path: "params.count" }]);
    expect(testType("tcp").check("host.example", params, 60)).toEqual([]);
  });
});
