// The real command line on loopback, and routers played by a script in the place of traceroute.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Measurement } from "#contract/result";
import { traceroute as tracerouteType } from "#contract/test-types/traceroute";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool, runningTools } from "../../agent/exec.ts";
import { UsageError } from "../../agent/exit.ts";
import { traceroute } from "../../agent/probes/traceroute.ts";
import { runTest } from "../../agent/runner.ts";
import { cli, fakeTools, isRunning, scratch } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";

type Result = Omit<Measurement, "started_at">;

interface Hop {
  ttl: number;
  addrs: string[];
  sent: number;
  received: number;
  rtt_median: number | null;
  loss_pct: number | null;
  flags: string[];
  asns?: ({ asn: number; name: string } | null)[];
}

const json = (stdout: string): Result => JSON.parse(stdout) as Result;
const hopsOf = (result: Result): Hop[] => result.detail.hops as Hop[];
const addresses = (result: Result): string[][] => hopsOf(result).map(({ addrs }) => addrs);
const TARGET = "192.0.2.9";

const everyMetricExplained = (result: Result) => {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(tracerouteType.metrics));
  for (const [name, value] of Object.entries(result.metrics)) {
    const reason = (result.reasons as Record<string, string>)[name];
    if (value === null) expect(reason, name).toBeTypeOf("string");
    else expect(reason, name).toBeUndefined();
  }
};

const hasTraceroute = process.platform === "linux" && findTool("traceroute") !== undefined;

describe.skipIf(!hasTraceroute)("probe traceroute on loopback (needs traceroute)", () => {
  test.each([
    ["127.0.0.1", 4],
    ["::1", 6],
  ])("%s is one hop away, on every flow", async (address) => {
    const { code, stdout, stderr } = await cli(["probe", "traceroute", address, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const result = json(stdout);
    expect(calm(result)).toMatchObject({ status: "ok", address, error: null, flags: [] });
    expect(result.metrics).toMatchObject({
      path_hop_count: 1,
      path_reached: true,
      path_changed: null,
      path_ecmp_width: 1,
      path_flows: 1,
      path_loop_detected: false,
      path_loss_pct: 0,
      path_method: "udp",
    });
    expect(result.reasons.path_changed).toBe("too_few_samples");
    expect(hopsOf(result)).toMatchObject([{ ttl: 1, addrs: [address], sent: 6, received: 6, loss_pct: 0, flags: [] }]);
    expect(result.detail.flows).toHaveLength(6);
    everyMetricExplained(result);
  });

  test("people see the hop, its times, and what it means", async () => {
    const { stdout } = await cli(["probe", "traceroute", "127.0.0.1", "--rounds", "2", "--interval", "0.2"]);
    expect(stdout).toMatch(/hop {2}address +loss +min +median +max/);
    expect(stdout).toMatch(/1 {2}127\.0\.0\.1 +0 % +\d\.\d{3} ms/);
    expect(stdout).toMatch(/reached in 1 hops by UDP/);
    expect(stdout).toMatch(/change +none/);
    expect(stdout).not.toContain("\u001b");
  });

  test("twenty answers give a 95th percentile", async () => {
    const { stdout } = await cli(["probe", "traceroute", "127.0.0.1", "--flows", "2", "--count", "10", "--json"]);
    expect(Number(json(stdout).metrics.path_rtt_p95)).toBeGreaterThan(0);
  });
});

/**
 * A traceroute whose hops a script answers: it sees $ttl, $flow, $icmp, $tcp, $run (how often it was started) and sets $addr, `*`
 * for silence, and $mark.
 */
function routers(hop: string): { tools: string; started: () => string[] } {
  const log = join(scratch(), "started");
  const script = `
[ "$1" = -V ] && echo 'Modern traceroute for Linux, version 2.1.2' && exit 0
printf '%s\\n' "$*" >> ${log}
run=$(wc -l < ${log}); flow=0; first=1; last=30; q=1; icmp=0; tcp=0
while [ $# -gt 0 ]; do
  case "$1" in --sport=*) flow=\${1#--sport=};; -f) first=$2; shift;; -m) last=$2; shift;; -q) q=$2; shift;; -I) icmp=1;; -T) tcp=1;; esac
  shift
done
echo 'traceroute to ${TARGET} (${TARGET}), 30 hops max, 60 byte packets'
ttl=$first
while [ $ttl -le $last ]; do
  line=" $ttl "; n=0; mark=""
  while [ $n -lt $q ]; do
    addr="*"
    ${hop}
    if [ "$addr" = "*" ]; then line="$line *"; else line="$line $addr  $ttl.5 ms$mark"; fi
    n=$((n + 1))
  done
  echo "$line"
  if [ "$addr" = ${TARGET} ] || [ -n "$mark" ]; then exit 0; fi
  ttl=$((ttl + 1))
done`;
  const started = () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  return { tools: `${fakeTools({ traceroute: script })}:/bin:/usr/bin`, started };
}

const WAY = (second: string) => `case $ttl in 1) addr=10.0.0.1;; 2) addr=${second};; 3) addr=${TARGET};; esac`;

describe.skipIf(process.platform === "win32")("paths a script plays (needs a POSIX shell)", () => {
  const before = process.env.STREAMSWARM_TOOL_PATH;
  let tests = 0;
  beforeEach(() => {
    tests += 1;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.STREAMSWARM_TOOL_PATH;
    else process.env.STREAMSWARM_TOOL_PATH = before;
    expect(runningTools()).toBe(0);
  });

  /** One run of a test in this process, so that the next may be compared with it. */
  async function trace(tools: string, params: Record<string, unknown> = {}, series?: string): Promise<Measurement> {
    process.env.STREAMSWARM_TOOL_PATH = tools;
    const order = { type: "traceroute", destination: TARGET, params: { names: false, ...params } };
    const named = series === undefined ? {} : { series: `${tests} ${series}` };
    const result = await runTest({ ...order, ...named }, new AbortController().signal);
    everyMetricExplained(result);
    return result;
  }

  test("parallel paths are seen as such, each flow keeps one, and they never look like a change", async () => {
    const { tools, started } = routers(WAY("10.0.0.$((2 + flow % 2))"));
    const first = await trace(tools, {}, "ecmp");
    expect(new Set(addresses(first)[1])).toEqual(new Set(["10.0.0.2", "10.0.0.3"]));
    expect(first.metrics).toMatchObject({ path_ecmp_width: 2, path_flows: 2, path_hop_count: 3, path_changed: null });
    expect(started()).toHaveLength(6);
    for (const { path } of first.detail.flows as { path: string[] }[]) expect(path).toHaveLength(3);
    const moved = await trace(routers(WAY("10.0.0.$((2 + (flow + 1) % 2))")).tools, {}, "ecmp");
    expect(moved.metrics).toMatchObject({ path_changed: false, path_hash: first.metrics.path_hash });
  });

  test("random flows find a next hop that the steady ones missed, once", async () => {
    const hop = WAY("10.0.0.2; [ $flow = 0 ] && [ $n = 1 ] && addr=10.0.0.3");
    const { tools, started } = routers(hop);
    const first = await trace(tools, {}, "census");
    expect(first.metrics).toMatchObject({ path_ecmp_width: 2, path_flows: 1 });
    expect(started()).toHaveLength(7);
    const second = await trace(tools, {}, "census");
    expect(second.metrics.path_changed).toBe(false);
    expect(started()).toHaveLength(13);
  });

  test("a change is reported in its round, once, and by the next run no more", async () => {
    // The third round's sweep is the third start; asking again finds the same.
    const { tools } = routers(WAY("10.0.0.2; [ $run -ge 3 ] && addr=10.0.0.7"));
    const params = { flows: 1, rounds: 4, interval: 0.2 };
    const result = await trace(tools, params, "change");
    expect(result.metrics.path_changed).toBe(true);
    expect(result.detail.changes).toEqual([{ round: 3, ttl: 2, from: "10.0.0.2", to: "10.0.0.7", flows: [expect.any(Number)] }]);
    expect(addresses(result)).toEqual([["10.0.0.1"], ["10.0.0.7"], [TARGET]]);
    expect((await trace(tools, params, "change")).metrics.path_changed).toBe(false);
  });

  test("a step that asking again does not confirm is no change", async () => {
    const { tools } = routers(WAY("10.0.0.2; [ $run = 2 ] && addr=10.0.0.7"));
    const result = await trace(tools, { flows: 1, rounds: 3, interval: 0.2 });
    expect(result.metrics.path_changed).toBe(false);
    expect(result.detail.changes).toEqual([]);
  });

  test("one lost probe adds no hop, is no change and no silence", async () => {
    const { tools } = routers(
      `${WAY("10.0.0.2")}\n[ $run = 2 ] && [ $ttl != 1 ] && addr="*"\n[ $run = 2 ] && [ $ttl = 4 ] && addr=${TARGET}`,
    );
    const result = await trace(tools, { flows: 1, rounds: 2, interval: 0.2 });
    expect(addresses(result)).toEqual([["10.0.0.1"], ["10.0.0.2"], [TARGET]]);
    expect(result.metrics).toMatchObject({ path_changed: false, path_hop_count: 3, path_first_silent_ttl: null });
  });

  test("a silent hop is listed, is no loss, and is not asked again in the next run", async () => {
    const { tools, started } = routers(WAY('"*"'));
    const first = await trace(tools, { flows: 2 }, "silent");
    expect(hopsOf(first)[1]).toMatchObject({
      ttl: 2,
      addrs: [],
      received: 0,
      loss_pct: null,
      rtt_median: null,
      flags: ["silent"],
    });
    expect(first.metrics).toMatchObject({ path_first_silent_ttl: 2, path_hop_count: 3, path_loss_pct: 0 });
    const count = started().length;
    await trace(tools, { flows: 2 }, "silent");
    expect(started().length - count).toBe(2);
  });

  test("a target that holds its ICMP errors back loses nothing: echo replies say so", async () => {
    const { tools } = routers(
      `${WAY("10.0.0.2")}\n[ $ttl = 3 ] && [ $icmp = 0 ] && [ $((flow % 6)) != 0 ] && addr="*"\n[ $ttl -gt 3 ] && exit 0`,
    );
    const limited = await trace(tools);
    expect(limited.metrics).toMatchObject({ path_reached: true, path_loss_pct: 0, path_method: "udp" });
    expect(calm(limited).flags).toEqual(["target_rate_limited"]);
  });

  test("without echo replies nothing is said of that loss", async () => {
    const { tools } = routers(
      `${WAY("10.0.0.2")}\n[ $ttl = 3 ] && [ $icmp = 1 ] && addr="*"\n[ $ttl = 3 ] && [ $((flow % 6)) != 0 ] && addr="*"\n[ $ttl -gt 3 ] && exit 0`,
    );
    const result = await trace(tools);
    expect(result.metrics.path_loss_pct).toBeNull();
    expect(result.reasons.path_loss_pct).toBe("no_permission");
  });

  test("auto goes on to ICMP and TCP, says so, and begins with what worked", async () => {
    const { tools, started } = routers(`${WAY("10.0.0.2")}\n[ $ttl -ge 3 ] && [ $tcp = 0 ] && addr="*"`);
    const result = await trace(tools, {}, "auto");
    expect(result.metrics).toMatchObject({ path_method: "tcp", path_hop_count: 3 });
    expect(
      (result.detail.tried as { method: string; reached: boolean }[]).map(({ method, reached }) => [method, reached]),
    ).toEqual([
      ["udp", false],
      ["icmp", false],
      ["tcp", true],
    ]);
    const count = started().length;
    expect((await trace(tools, {}, "auto")).metrics).toMatchObject({ path_method: "tcp", path_changed: false });
    expect(started().slice(count)).toHaveLength(6);
  });

  test("a dead target has no hop count, and the hops before it are told", async () => {
    const { tools } = routers(`[ $ttl = 1 ] && addr=10.0.0.1`);
    const result = await trace(tools);
    expect(result).toMatchObject({ status: "partial", error: { code: "no_reply", source: "network" } });
    expect(result.metrics).toMatchObject({
      path_hop_count: null,
      path_reached: false,
      path_loss_pct: null,
      path_rtt_median: null,
      path_first_silent_ttl: 2,
    });
    expect(addresses(result)).toEqual([["10.0.0.1"], []]);
    expect(result.error?.message).toContain("10.0.0.1");
  });

  test.each([
    ["!H", "unreachable"],
    ["!N", "unreachable"],
    ["!X", "filtered"],
  ])("%s from a router is its doing: %s", async (mark, code) => {
    const { tools } = routers(`case $ttl in 1) addr=10.0.0.1;; *) addr=10.0.0.1; mark=" ${mark}";; esac`);
    const result = await trace(tools);
    expect(result.error).toMatchObject({ code, source: "network" });
    expect(hopsOf(result)[1]).toMatchObject({ icmp: [mark] });
    expect(result.metrics.path_loop_detected).toBe(false);
  });

  test("a port unreachable that is not the target's does not reach it", async () => {
    const { tools } = routers(`addr=10.0.0.1; [ $ttl = 2 ] && echo ' 2  10.0.0.1  2.5 ms' && exit 0`);
    const result = await trace(tools);
    expect(result).toMatchObject({ error: { code: "refused", source: "network" }, metrics: { path_reached: false } });
  });

  test("a loop is named, and not searched again by other protocols", async () => {
    const { tools, started } = routers(`addr=10.0.0.$((1 + ttl % 2))`);
    const result = await trace(tools);
    expect(result).toMatchObject({ error: { code: "unreachable" }, metrics: { path_loop_detected: true, path_reached: false } });
    expect(result.error?.message).toMatch(/circles/);
    expect(started()).toHaveLength(6);
    expect(JSON.stringify(result.detail).length).toBeLessThan(32_768);
  });

  test("even the longest of loops over all flows stays a small result", async () => {
    const { tools } = routers(`addr=10.$((flow % 256)).$ttl.$((1 + ttl % 2)); [ $ttl = 60 ] && addr=10.$((flow % 256)).1.2`);
    const result = await trace(tools, { flows: 16, max_hops: 64 });
    expect(JSON.stringify(result).length).toBeLessThan(65_536);
    expect(hopsOf(result)).toHaveLength(64);
  });

  test("networks come from the table of this host", async () => {
    const table = join(scratch(), "asn");
    writeFileSync(table, "10.0.0.0/8 64500 Inside\n192.0.2.0\t192.0.2.255\t64501\tZZ\tOutside\n");
    const { tools } = routers(WAY("10.0.0.2"));
    process.env.STREAMSWARM_ASN_TABLE = table;
    try {
      const result = await trace(tools);
      expect(result.metrics).toMatchObject({ path_asn: "AS64500 AS64501", path_asn_count: 2 });
      expect(hopsOf(result)[2]?.asns).toEqual([{ asn: 64501, name: "Outside" }]);
      process.env.STREAMSWARM_ASN_TABLE = join(scratch(), "none");
      const without = await trace(tools);
      expect(without.reasons.path_asn).toBe("not_applicable");
      expect(without.detail.asn_table).toMatch(/cannot be read \(ENOENT\)/);
    } finally {
      delete process.env.STREAMSWARM_ASN_TABLE;
    }
  });

  test("two runs to one address take turns, since their flows share ports", async () => {
    const { tools } = routers(WAY("10.0.0.2"));
    const [one, other] = await Promise.all([trace(tools, {}, "one"), trace(tools, {}, "other")]);
    expect([one.metrics.path_hop_count, other.metrics.path_hop_count]).toEqual([3, 3]);
  });

  test("whoever waits for its turn ends at its own deadline, or when it is stopped, and whoever comes next waits on", async () => {
    const { tools, started } = routers(`sleep 1.2; ${WAY("10.0.0.2")}`);
    process.env.STREAMSWARM_TOOL_PATH = tools;
    const order = (deadline: number) => ({
      type: "traceroute",
      destination: TARGET,
      params: { names: false, method: "udp", flows: 1, max_hops: 2, deadline },
    });
    const stop = new AbortController();
    const first = runTest(order(10), new AbortController().signal);
    await expect.poll(() => started().length).toBe(1);
    const late = await runTest(order(1), new AbortController().signal);
    expect(late).toMatchObject({ status: "failed", error: { code: "deadline", message: expect.stringMatching(/another run/) } });
    expect(late.duration_ms).toBeLessThan(1100);
    everyMetricExplained(late);
    const stopped = runTest(order(10), stop.signal);
    stop.abort();
    expect((await stopped).error?.code).toBe("aborted");
    expect(started()).toHaveLength(1);
    expect((await first).metrics.path_method).toBe("udp");
  });

  test.each(["2001:DB8:0:0:0:0:0:10", "2001:db8::10"])(
    "a target written %s is reached by whatever spelling",
    async (destination) => {
      const { tools } = routers(`case $ttl in 1) addr=2001:db8:0:0::1;; 2) addr=2001:db8::10;; *) exit 0;; esac`);
      process.env.STREAMSWARM_TOOL_PATH = tools;
      const order = { type: "traceroute", destination, params: { names: false } };
      const result = await runTest(order, new AbortController().signal);
      expect(result.metrics).toMatchObject({ path_reached: true, path_hop_count: 2, path_loop_detected: false });
      expect(addresses(result)).toEqual([["2001:db8::1"], ["2001:db8::10"]]);
    },
  );

  test("a port another program holds moves that flow", async () => {
    const { tools, started } = routers(`[ $run = 1 ] && echo 'bind: Address already in use' >&2 && exit 1\n${WAY("10.0.0.2")}`);
    const result = await trace(tools, { flows: 1, method: "tcp" });
    expect(result.metrics.path_hop_count).toBe(3);
    expect(new Set(started().map((line) => /--sport=(\d+)/.exec(line)?.[1])).size).toBe(2);
  });

  test("stopped from outside it says so", async () => {
    const { tools } = routers("sleep 60");
    process.env.STREAMSWARM_TOOL_PATH = tools;
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const result = await runTest({ type: "traceroute", destination: TARGET, params: {} }, stop.signal);
    expect(result.error?.code).toBe("aborted");
  });
});

describe.skipIf(process.platform === "win32")("hosts that cannot measure (needs a POSIX shell)", () => {
  const version = `[ "$1" = -V ] && echo 'Modern traceroute for Linux, version 2.1.2' && exit 0`;
  const played = (script: string) => `${fakeTools({ traceroute: `${version}\n${script}` })}:/bin:/usr/bin`;
  const traced = async (script: string, ...args: string[]) => {
    const ended = await cli(["probe", "traceroute", TARGET, "--json", ...args], { STREAMSWARM_TOOL_PATH: played(script) });
    return { ...ended, result: json(ended.stdout) };
  };
  const before = process.env.STREAMSWARM_TOOL_PATH;
  afterEach(() => {
    if (before === undefined) delete process.env.STREAMSWARM_TOOL_PATH;
    else process.env.STREAMSWARM_TOOL_PATH = before;
  });
  const traceHere = async (script: string) => {
    process.env.STREAMSWARM_TOOL_PATH = played(script);
    return runTest({ type: "traceroute", destination: TARGET, params: {} }, new AbortController().signal);
  };

  test("no tool at all exits 3 and says what to install", async () => {
    const { code, stdout, stderr } = await cli(["probe", "traceroute", TARGET, "--json"], {
      STREAMSWARM_TOOL_PATH: fakeTools({}),
    });
    expect(code).toBe(3);
    expect(json(stdout)).toMatchObject({ status: "failed", error: { code: "tool_missing", source: "tool" } });
    expect(stderr).toMatch(/install/);
    everyMetricExplained(json(stdout));
  });

  test("a missing right exits 3 when the protocol was asked for", async () => {
    const complaint = readFileSync(new URL("./fixtures/traceroute/traceroute_icmp_unpriv.stderr", import.meta.url), "utf8");
    const { code, result } = await traced(`printf '${complaint.replaceAll("\n", "\\n")}' >&2; exit 1`, "--method", "icmp");
    expect(code).toBe(3);
    expect(result).toMatchObject({ error: { code: "no_permission", source: "agent" }, metrics: { path_reached: null } });
    expect(result.reasons.path_reached).toBe("no_permission");
  });

  test.each([
    ["garbage", "head -c 3000 /dev/urandom", "unreadable_output"],
    ["somebody's words", "echo ' 1  Zeitüberschreitung'; echo '99999999999 10.0.0.1  1 ms'", "unreadable_output"],
    ["a killed tool", "kill -9 $$", "tool_failed"],
    ["a tool that fails", "echo 'no luck' >&2; exit 4", "tool_failed"],
    ["an unknown option", "echo \"traceroute: invalid option -- 'U'\" >&2; exit 2", "unsupported"],
    ["no route", "echo 'connect: Network is unreachable' >&2; exit 1", "no_route"],
  ])("%s is no dead network", async (_name, script, code) => {
    const result = await traceHere(script);
    expect(result).toMatchObject({ status: "failed", error: { code } });
    expect(result.metrics).toMatchObject({ path_hop_count: null, path_loss_pct: null, path_reached: null });
    everyMetricExplained(result);
  });

  test("a tool killed on its way has not seen the target die", async () => {
    const result = await traceHere("echo ' 1  10.0.0.1  1.0 ms'; kill -9 $$");
    expect(result).toMatchObject({ status: "partial", error: { code: "tool_failed", source: "tool" } });
  });

  test("a tool that never ends dies with its children at the deadline, and its hops count", async () => {
    const pids = join(scratch(), "pids");
    const hang = `trap '' INT\nsleep 60 & echo $$ $! >> ${pids}\necho ' 1  10.0.0.1  1.0 ms'\nwait; wait; sleep 60`;
    const { code, result } = await traced(hang, "--deadline", "2");
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "partial", error: { code: "deadline" }, detail: { budgets_hit: ["path"] } });
    expect(result.duration_ms).toBeGreaterThan(1800);
    expect(result.duration_ms).toBeLessThan(2200);
    expect(addresses(result)[0]).toEqual(["10.0.0.1"]);
    for (const pid of readFileSync(pids, "utf8").trim().split(/\s+/)) expect(isRunning(pid), `process ${pid}`).toBe(false);
  });
});

describe("wrong arguments exit 2, name what is wrong, and start nothing", () => {
  const marker = join(scratch(), "spawned");
  const tools = fakeTools({ traceroute: `touch ${marker}`, mtr: `touch ${marker}`, tracepath: `touch ${marker}` });
  const refused: [string, string, Record<string, string>, string][] = [
    ["option", "-f", {}, "destination"],
    ["long option", "--mtu", {}, "destination"],
    ["shell word", "127.0.0.1;reboot", {}, "destination"],
    ["substitution", "$(reboot)", {}, "destination"],
    ["newline", "127.0.0.1\n-f", {}, "destination"],
    ["octal", "010.077.100.001", {}, "destination"],
    ["URL", "http://127.0.0.1/", {}, "destination"],
    ["port in the destination", "127.0.0.1:80", {}, "destination"],
    ["multicast", "ff02::1", {}, "destination"],
    ["metadata", "169.254.169.254", {}, "destination"],
    ["method", TARGET, { method: "sctp" }, "--method"],
    ["port 0", TARGET, { port: "0" }, "--port"],
    ["port of ICMP", TARGET, { method: "icmp", port: "80" }, "--port"],
    ["flows", TARGET, { flows: "17" }, "--flows"],
    ["rounds", TARGET, { rounds: "101" }, "--rounds"],
    ["rounds longer than the deadline", TARGET, { rounds: "40" }, "--rounds"],
    ["interval", TARGET, { interval: "0.1" }, "--interval"],
    ["count", TARGET, { count: "1 -f" }, "--count"],
    ["hops", TARGET, { maxHops: "65" }, "--max-hops"],
    ["timeout", TARGET, { timeout: "6" }, "--timeout"],
    ["deadline", TARGET, { deadline: "0.5" }, "--deadline"],
    ["size", TARGET, { packetSize: "65000" }, "--packet-size"],
    ["size of TCP", TARGET, { method: "tcp", packetSize: "100" }, "--packet-size"],
    ["DSCP", TARGET, { dscp: "64" }, "--dscp"],
    ["other family", TARGET, { ipVersion: "6" }, "--ip-version"],
  ];

  test.each(refused)("%s", (_name, destination, given, named) => {
    expect(() => readParameters("traceroute", destination, given)).toThrow(UsageError);
    expect(() => readParameters("traceroute", destination, given)).toThrow(named);
  });

  test.each([
    [["--", "-f"], "destination"],
    [[TARGET, "--flows", "0"], "--flows"],
    [[TARGET, "--flood"], "--flood"],
  ])("%j, by the program itself", async (args, named) => {
    const { code, stdout, stderr } = await cli(["probe", "traceroute", ...args], { STREAMSWARM_TOOL_PATH: tools });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(named);
    expect(existsSync(marker)).toBe(false);
  });
});

test("a run takes one place for paths, and one for each tool that runs at once", () => {
  const { params } = tracerouteType;
  expect(traceroute.places(params.parse({ flows: 3 }))).toEqual({ path: 1, path_tools: 3 });
  expect(traceroute.places(params.parse({ flows: 16 }))).toEqual({ path: 1, path_tools: 6 });
});
