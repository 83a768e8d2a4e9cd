// QoS runs: replayed from recordings of a network lab, on loopback with the real tools, and with tools that are missing or broken.
import { createSocket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Measurement } from "#contract/result";
import { qos as qosType } from "#contract/test-types/qos";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool, runningTools } from "../../agent/exec.ts";
import { UsageError } from "../../agent/exit.ts";
import { flowPorts } from "../../agent/probes/path-round.ts";
import { runTest } from "../../agent/runner.ts";
import { type CliResult, cli, fakeTools, isRunning, scratch } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";

const FIXTURES = fileURLToPath(new URL("./fixtures/qos/", import.meta.url));
const TARGET = { 4: "10.77.100.1", 6: "fd77:100::1" } as const;
type Scene = "kept" | "bleached" | "bleached6" | "silent" | "silent6" | "cleared" | "dropped" | "filtered";
const familyOf = (scene: Scene): 4 | 6 => (scene.endsWith("6") ? 6 : 4);

const LISTEN = "echo 'tcpdump: listening on any, link-type LINUX_SLL2' >&2";
const VERSION = `case "$*" in -V) echo 'Modern traceroute for Linux, version 2.1.2'; exit;; esac`;

/** Every request answered, in the format of iputils. */
const PING = `case "$1" in -V) echo 'ping from iputils 20221126'; exit;; esac
while [ $# -gt 0 ]; do case "$1" in -c) n=$2;; esac; a=$1; shift; done
/bin/sleep 0.05
echo "PING $a ($a) 64(92) bytes of data."
i=1; while [ $i -le $n ]; do echo "72 bytes from $a: icmp_seq=$i ttl=62 time=10.2 ms"; i=$((i+1)); done
echo; echo "--- $a ping statistics ---"
echo "$n packets transmitted, $n received, 0% packet loss, time 3800ms"
echo "rtt min/avg/max/mdev = 10.200/10.200/10.200/0.000 ms"`;

/** Tools that say what they said in a recorded run. */
function replayed(scene: Scene): Record<string, string> {
  const dir = join(FIXTURES, scene);
  return {
    tcpdump: `${LISTEN}; /bin/cat ${dir}/capture.pcap; exec /bin/sleep 60`,
    traceroute: `${VERSION}
for last; do :; done
case "$*" in *info,ecn*) f=syn_ecn;; *"-O info"*) f=syn_plain;; *" -T "*) f=path_tcp;; *) f=path_$last;; esac
case "$*" in *-O*"-q 6"*) f=\${f}_2;; esac
[ -e ${dir}/$f.stdout ] && exec /bin/cat ${dir}/$f.stdout`,
    ping: PING,
  };
}

const withTools = (scripts: Record<string, string>) => vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(scripts));
afterEach(() => {
  vi.unstubAllEnvs();
});

const PARAMS = { port: 80, count: 3 };
const measure = (
  type: string,
  destination: string,
  params: Record<string, unknown> = PARAMS,
  stop = new AbortController().signal,
) => runTest({ type, destination, params }, stop);

function expectExplained(
  { metrics, reasons }: Pick<Measurement, "metrics" | "reasons"> | CliResult,
  names = qosType.metrics,
): void {
  expect(new Set(Object.keys(metrics))).toEqual(new Set(names));
  for (const [name, value] of Object.entries(metrics)) {
    const reason = (reasons as Record<string, string>)[name];
    if (value === null) expect(reason, name).toBeTypeOf("string");
    else expect(reason, name).toBeUndefined();
  }
}

const KEPT = {
  qos_dscp_sent: 46,
  qos_preserved: true,
  qos_bleached_at_hop: null,
  qos_dscp_after: null,
  qos_hops_checked: 3,
  ecn_capable: true,
  ecn_blocked: false,
  ecn_cleared_at_hop: null,
};
const BLEACHED = { ...KEPT, qos_preserved: false, qos_bleached_at_hop: 2, qos_dscp_after: 0 };
const SILENT = { ...KEPT, qos_preserved: false, qos_bleached_at_hop: 3, qos_dscp_after: 8, qos_hops_checked: 2 };

describe("a recorded path", () => {
  test.each<[Scene, string, Record<string, unknown>, Record<string, unknown> | null]>([
    ["kept", "that changes nothing", KEPT, null],
    ["bleached", "whose first router rewrites the DSCP", BLEACHED, { after_hop: 1, at_hop: 2, to: 0, quotes: 2 }],
    ["bleached6", "the same with IPv6", BLEACHED, { after_hop: 1, at_hop: 2, to: 0, quotes: 2 }],
    ["silent", "with a silent hop where it changes", SILENT, { after_hop: 1, at_hop: 3, to: 8, quotes: 4 }],
    ["silent6", "the same with IPv6", SILENT, { after_hop: 1, at_hop: 3, to: 8, quotes: 4 }],
    ["cleared", "that clears ECN", { ...KEPT, ecn_cleared_at_hop: 2 }, null],
    ["dropped", "that drops handshakes asking for ECN", { ...KEPT, ecn_capable: null, ecn_blocked: true }, null],
  ])("%s: one %s", async (scene, _what, metrics, change) => {
    withTools(replayed(scene));
    const result = await measure("qos", TARGET[familyOf(scene)]);
    expect(calm(result)).toMatchObject({
      status: "ok",
      error: null,
      flags: [],
      metrics,
      detail: { dscp_change: change, target_quoted: true },
    });
    expectExplained(result);
    expect(runningTools()).toBe(0);
  });

  test("behind a firewall for UDP is followed by TCP, and the result says that the target told nothing", async () => {
    withTools(replayed("filtered"));
    const result = await measure("qos", TARGET[4]);
    expect(result.metrics).toMatchObject({
      qos_preserved: false,
      qos_bleached_at_hop: 2,
      qos_dscp_after: 8,
      qos_hops_checked: 2,
    });
    expect(result).toMatchObject({ status: "ok", flags: ["target_not_quoted"] });
    expect(result.detail.hops).toMatchObject([{ dscp: 46 }, { dscp: 8 }, { addr: "10.77.100.1", dscp: null, quotes: 0 }]);
  });

  test("is asked with the DSCP in the upper six bits and ECT(0) in the lower two, and classes without ECN bits", async () => {
    const log = join(scratch(), "log");
    const logged = Object.entries(replayed("kept")).map(([name, script]) => [name, `echo ${name} "$@" >> ${log}\n${script}`]);
    withTools(Object.fromEntries(logged) as Record<string, string>);
    await measure("qos", TARGET[4]);
    const calls = readFileSync(log, "utf8");
    expect(calls).toMatch(/^traceroute .*-U .*--sport=64628 -t 186 -- 10\.77\.100\.1 60$/m);
    for (const tos of [0, 184, 136, 32]) expect(calls).toMatch(new RegExp(`^ping .*-Q ${tos} .*-- 10\\.77\\.100\\.1$`, "m"));
    expect(calls.match(/^tcpdump/gm)).toHaveLength(1);
  });

  test("of which nobody saw a thing is no path that preserves the DSCP", async () => {
    const silence = `${VERSION}
case "$*" in *-O*) echo '64  * * * *'; exit;; esac
while [ $# -gt 0 ]; do case "$1" in -f) ttl=$2;; -m) last=$2;; esac; shift; done
while [ $ttl -le $last ]; do echo " $ttl  *"; ttl=$((ttl+1)); done`;
    const dead = { tcpdump: `${LISTEN}; exec /bin/sleep 60`, traceroute: silence };
    withTools({
      ...dead,
      ping: "case $1 in -V) echo 'ping from iputils 20221126';; *) echo; echo '--- x ping statistics ---'; echo '3 packets transmitted, 0 received, 100% packet loss, time 400ms';; esac",
    });
    const result = await measure("qos", TARGET[4]);
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(result.metrics).toMatchObject({
      qos_preserved: null,
      qos_bleached_at_hop: null,
      ecn_capable: null,
      ecn_blocked: null,
    });
    expect(result.reasons).toMatchObject({ qos_preserved: "timeout", qos_bleached_at_hop: "timeout", ecn_blocked: "timeout" });
    expectExplained(result);
  });
});

describe("traceroute --dscp", () => {
  /** Sweeps of the run's own flows and of the survey alike. */
  const tools: Record<string, string> = {
    ...replayed("bleached"),
    traceroute: `${VERSION}\nexec /bin/cat ${FIXTURES}bleached/path_60.stdout`,
  };

  test("tells where the DSCP changes", async () => {
    withTools(tools);
    const result = await measure("traceroute", TARGET[4], { dscp: 46, names: false });
    expect(result).toMatchObject({
      status: "ok",
      metrics: { path_hop_count: 3, qos_dscp_sent: 46, qos_bleached_at_hop: 2, qos_preserved: false },
    });
    expect(result.detail.dscp).toMatchObject({
      dscp_change: { after_hop: 1, at_hop: 2, to: 0 },
      hops: [{ dscp: 46 }, { dscp: 0 }, { dscp: 0 }],
    });
  });

  test("without tcpdump is a traceroute all the same, and says what is missing", async () => {
    const { tcpdump: _, ...others } = tools;
    withTools(others);
    const result = await measure("traceroute", TARGET[4], { dscp: 46, names: false });
    expect(result).toMatchObject({
      status: "ok",
      metrics: { path_hop_count: 3, qos_preserved: null, qos_bleached_at_hop: null },
    });
    expect(result.reasons).toMatchObject({ qos_preserved: "tool_missing", qos_bleached_at_hop: "tool_missing" });
    expect(result.detail.dscp).toMatchObject({ failure: expect.stringContaining("install") });
  });

  test.each([{}, { dscp: 0 }])("a traceroute with %j starts no capture", async (params) => {
    const marker = join(scratch(), "started");
    withTools({ ...tools, tcpdump: `echo > ${marker}` });
    const result = await measure("traceroute", TARGET[4], { ...params, names: false });
    expect(result.metrics).toMatchObject({ path_hop_count: 3, qos_dscp_sent: null, qos_preserved: null });
    expect(result.reasons).toMatchObject({ qos_dscp_sent: "not_applicable", qos_preserved: "not_applicable" });
    expect(existsSync(marker)).toBe(false);
  });
});

describe("a tool that", () => {
  const all: Record<string, string> = replayed("kept");
  const NO_RIGHT =
    "echo 'You do not have enough privileges to use this traceroute method.' >&2; echo 'socket: Operation not permitted' >&2; exit 1";

  test.each<[string, Record<string, string | undefined>, { code: string; reason: string; says: RegExp }]>([
    [
      "tcpdump is missing",
      { tcpdump: undefined },
      { code: "tool_missing", reason: "tool_missing", says: /tcpdump is not installed.*install/ },
    ],
    [
      "tcpdump has no right",
      { tcpdump: 'echo "tcpdump: any: You don\'t have permission to capture on that device" >&2; exit 1' },
      { code: "no_permission", reason: "no_permission", says: /CAP_NET_RAW/ },
    ],
    ["tcpdump dies", { tcpdump: `${LISTEN}; kill -9 $$` }, { code: "tool_failed", reason: "unsupported", says: /tcpdump ended/ }],
    [
      "tcpdump writes text",
      { tcpdump: `${LISTEN}; echo 'what a capture never begins with'; exec /bin/sleep 60` },
      { code: "unreadable_output", reason: "unsupported", says: /no capture/ },
    ],
    ["traceroute is missing", { traceroute: undefined }, { code: "tool_missing", reason: "tool_missing", says: /install/ }],
    [
      "traceroute is another one",
      { traceroute: "echo 'BusyBox v1.35.0'" },
      { code: "tool_missing", reason: "tool_missing", says: /BusyBox.*install/ },
    ],
    [
      "traceroute prints garbage",
      { traceroute: `${VERSION}\necho '\\0\\377 12 ms 999 999'` },
      { code: "unreadable_output", reason: "unsupported", says: /read/ },
    ],
    [
      "traceroute dies on its way",
      { traceroute: `${VERSION}\ncase "$*" in *-O*) echo;; *) echo ' 1  10.77.1.1  0.1 ms'; kill -9 $$;; esac` },
      { code: "tool_failed", reason: "unsupported", says: /failed/ },
    ],
    ["traceroute dies", { traceroute: `${VERSION}\nkill -9 $$` }, { code: "tool_failed", reason: "unsupported", says: /failed/ }],
    [
      "traceroute has no right",
      { traceroute: `${VERSION}\n${NO_RIGHT}` },
      { code: "no_permission", reason: "no_permission", says: /CAP_NET_RAW/ },
    ],
  ])("%s: the classes are measured all the same", async (_what, change, { code, reason, says }) => {
    const scripts = Object.entries({ ...all, ...change }).filter(([, script]) => script !== undefined);
    withTools(Object.fromEntries(scripts) as Record<string, string>);
    const result = await measure("qos", TARGET[4], { ...PARAMS, count: 10, timeout: 0.3 });
    expect(result).toMatchObject({ status: "partial", error: { code, message: expect.stringMatching(says) } });
    expect(result.metrics).toMatchObject({
      qos_preserved: null,
      qos_bleached_at_hop: null,
      qos_rtt_spread_ms: 0,
      qos_loss_worst_pct: 0,
    });
    expect(result.reasons).toMatchObject({ qos_preserved: reason, qos_worst_class: "not_applicable" });
    expectExplained(result);
    expect(runningTools()).toBe(0);
  });

  test.each([
    ["is missing", undefined, "tool_missing"],
    ["dies", "kill -9 $$", "tool_failed"],
    [
      "prints garbage",
      "case $1 in -V) echo 'ping from iputils 20221126';; *) echo 'rtt = 3/3/3'; echo; echo '9 9 9';; esac",
      "unreadable_output",
    ],
    ["cannot set a DSCP", "echo 'BusyBox v1.35.0 (Debian) multi-call binary.'", "unsupported"],
  ])("is ping and %s: the path is followed all the same", async (_what, ping, code) => {
    const { ping: _, ...others } = all;
    withTools(ping === undefined ? others : { ...others, ping });
    const result = await measure("qos", TARGET[4]);
    expect(result).toMatchObject({ status: "partial", error: { code } });
    expect(result.metrics).toMatchObject({ ...KEPT, qos_rtt_spread_ms: null, qos_loss_worst_pct: null, qos_worst_class: null });
    expectExplained(result);
  });

  test("changes the DSCP on the way out of this host is told of", async () => {
    withTools(all);
    const result = await measure("qos", TARGET[4], { ...PARAMS, dscp: 10 });
    expect(result).toMatchObject({
      flags: ["dscp_changed_by_host"],
      metrics: { qos_dscp_sent: 10, qos_bleached_at_hop: 1, qos_dscp_after: 46 },
    });
  });
});

describe("time", () => {
  /** Tools that never end, and write down who they are. */
  const hanging = (pids: string) => {
    const hang = `echo $$ >> ${pids}; exec /bin/sleep 60`;
    const version = "case $1 in -V) echo 'ping from iputils 20221126'; exit;; esac";
    return { tcpdump: `${LISTEN}; ${hang}`, traceroute: `${VERSION}\n${hang}`, ping: `${version}; ${hang}` };
  };
  const alive = (pids: string) => readFileSync(pids, "utf8").trim().split("\n").filter(isRunning);

  // Started first and awaited last: it takes as long as all others together.
  const late = { pids: join(scratch(), "pids") };
  const params = ["--timeout", "0.1", "--count", "1", "--interval", "0.2"];
  const ending = cli(["probe", "qos", TARGET[4], ...params, "--json"], { STREAMSWARM_TOOL_PATH: fakeTools(hanging(late.pids)) });

  test("a stopped run ends at once and leaves nobody behind", async () => {
    const pids = join(scratch(), "pids");
    withTools(hanging(pids));
    const stop = new AbortController();
    const running = measure("qos", TARGET[4], PARAMS, stop.signal);
    await vi.waitFor(() => expect(alive(pids).length).toBeGreaterThanOrEqual(7), { timeout: 5000 });
    const start = performance.now();
    stop.abort();
    const result = await running;
    expect(result.error).toMatchObject({ code: "aborted" });
    expect(performance.now() - start).toBeLessThan(1600);
    expect(alive(pids)).toEqual([]);
  });

  test("a run ends at its deadline with what it has", async () => {
    const { stdout, took_ms } = await ending;
    const result = JSON.parse(stdout) as CliResult;
    const deadline = qosType.deadline_ms(qosType.params.parse({ timeout: 0.1, count: 1 }));
    expect(result.duration_ms).toBeGreaterThan(deadline * 0.9);
    expect(result.duration_ms).toBeLessThan(deadline * 1.1);
    expect(took_ms).toBeLessThan(deadline * 1.1 + 3000);
    expect(result).toMatchObject({ status: "failed", error: { code: "deadline" } });
    expectExplained(result);
    expect(alive(late.pids)).toEqual([]);
  }, 20_000);
});

describe("bad arguments", () => {
  test.each([
    ["dscp", "64"],
    ["dscp", "EF"],
    ["port", "0"],
    ["classes", "46"],
    ["classes", "0,64"],
    ["classes", "BE,BE"],
    ["classes", "0,46,nope"],
    ["classes", "0,1,2,3,4,5,6,7,8"],
    ["classes", "0,46;id"],
    ["count", "0"],
    ["interval", "0.1"],
    ["max-hops", "65"],
    ["ip-version", "6"],
  ])("--%s %s is refused by its name", (option, value) => {
    const refuse = () =>
      readParameters("qos", "192.0.2.1", { [option.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]: value });
    expect(refuse).toThrow(UsageError);
    expect(refuse).toThrow(`--${option}`);
  });

  test("end the command with status 2 before anything is started", async () => {
    const marker = join(scratch(), "started");
    const script = `echo >> ${marker}`;
    const tools = fakeTools({ tcpdump: script, traceroute: script, ping: script });
    const bad = ["--classes", "0,46;id", "--dscp", "64"];
    const { code, stdout, stderr } = await cli(["probe", "qos", "192.0.2.1", ...bad], { STREAMSWARM_TOOL_PATH: tools });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/--dscp/);
    expect(existsSync(marker)).toBe(false);
  });

  test("classes may be named, in any case", () => {
    const check = (classes: string) => qosType.check("192.0.2.1", qosType.params.parse({ classes }));
    expect(check("be, EF,AF41,cs1")).toEqual([]);
    expect(check("LE,VA,63")).toEqual([]);
    expect(check("AF44,EF")).toMatchObject([{ path: "params.classes" }]);
    expect(check("46,EF")).toMatchObject([{ path: "params.classes", message: expect.stringContaining("twice") }]);
  });
});

const canCapture = process.getuid?.() === 0 && ["tcpdump", "traceroute", "ping"].every((name) => findTool(name) !== undefined);

describe.skipIf(!canCapture)("the real tools on loopback (needs root, tcpdump, traceroute, ping)", () => {
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "::", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });
  afterAll(() => {
    server.close();
  });

  test.each(["127.0.0.1", "::1"])("%s gets what was sent, and answers for ECN as its kernel is set", async (address) => {
    const { code, stdout } = await cli([
      "probe",
      "qos",
      address,
      "--port",
      String(port),
      "--count",
      "5",
      "--dscp",
      "34",
      "--json",
    ]);
    const result = JSON.parse(stdout) as CliResult;
    expect(calm(result)).toMatchObject({ status: "ok", error: null, flags: [] });
    expect(code).toBe(0);
    const capable = readFileSync("/proc/sys/net/ipv4/tcp_ecn", "utf8").trim() !== "0";
    expect(result.metrics).toMatchObject({ ...KEPT, qos_dscp_sent: 34, qos_hops_checked: 1, ecn_capable: capable });
    expect(result.detail.hops).toMatchObject([{ ttl: 1, addr: address, dscp: 34, ecn: 2 }]);
    expectExplained(result);
  });

  test("two runs at once, while another program holds the first port of the flow", async () => {
    const taken = createSocket("udp4");
    await new Promise<void>((resolve) => taken.bind(flowPorts("127.0.0.1", 21)[20] ?? 0, resolve));
    const results = await Promise.all([
      measure("qos", "127.0.0.1", { port, count: 2 }),
      measure("qos", "127.0.0.1", { port, count: 2, dscp: 10 }),
    ]);
    taken.close();
    expect(results.map(({ metrics }) => [metrics.qos_preserved, metrics.qos_dscp_sent])).toEqual([
      [true, 46],
      [true, 10],
    ]);
  });

  test("a closed port tells nothing of ECN, and is no sign of blocking", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const address = closed.address();
    const gone = typeof address === "object" && address !== null ? address.port : 0;
    await new Promise<void>((resolve) => closed.close(() => resolve()));
    const result = await measure("qos", "127.0.0.1", { port: gone, count: 2 });
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "refused", source: "target", message: expect.stringContaining("--port") },
    });
    expect(result.metrics).toMatchObject({ ecn_capable: null, ecn_blocked: false, qos_preserved: true });
    expect(result.reasons).toMatchObject({ ecn_capable: "refused" });
  });
});
