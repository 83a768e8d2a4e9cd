// The real command line, the real ping, on the loopback interface only.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool } from "../../agent/exec.ts";
import { UsageError } from "../../agent/exit.ts";
import { CLI, type CliResult, cli, fakeTools, run, scratch } from "./helpers/cli.ts";

const json = (stdout: string): CliResult => JSON.parse(stdout) as CliResult;
const hasPing = findTool("ping") !== undefined;

const everyMetricExplained = (result: CliResult) => {
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("ping")));
  for (const [name, value] of Object.entries(result.metrics)) {
    if (value === null) expect(result.reasons[name], name).toBeTypeOf("string");
    else expect(result.reasons[name], name).toBeUndefined();
  }
};

describe.skipIf(!hasPing)("probe ping on loopback", () => {
  test("measures and prints exactly one result", async () => {
    const { code, stdout, stderr } = await cli(["probe", "ping", "127.0.0.1", "--count", "20", "--interval", "0.2", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const result = json(stdout);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(result).toMatchObject({ status: "ok", address: "127.0.0.1", error: null });
    expect(result.started_at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(result.metrics).toMatchObject({ ping_sent: 20, ping_received: 20, ping_loss_pct: 0, ping_size: 64, ping_family: 4 });
    expect(Number(result.metrics.ping_rtt_p95)).toBeGreaterThan(0);
    expect(Number(result.metrics.ping_rtt_median)).toBeLessThan(20);
    expect(result.detail.rtts).toHaveLength(20);
    everyMetricExplained(result);
  });

  test("times whose sum is no whole number of milliseconds are times like any other", async () => {
    const args = ["probe", "ping", "127.0.0.1", "--count", "7", "--timeout", "1.1", "--json"];
    const { code, stdout, stderr } = await cli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(json(stdout).metrics).toMatchObject({ ping_sent: 7, ping_received: 7 });
  });

  test("IPv6, size and DSCP reach the tool", async () => {
    const { code, stdout } = await cli([
      "probe",
      "ping",
      "::1",
      "--count",
      "2",
      "--packet-size",
      "512",
      "--dscp",
      "46",
      "--json",
    ]);
    expect(code).toBe(0);
    expect(json(stdout).metrics).toMatchObject({ ping_family: 6, ping_size: 512, ping_dscp: 46, ping_received: 2 });
  });

  test("localhost comes from the hosts file, and --ip-version chooses", async () => {
    const { stdout } = await cli(["probe", "ping", "localhost", "--count", "1", "--ip-version", "6", "--json"]);
    expect(json(stdout)).toMatchObject({ address: "::1", detail: { resolved_by: "hosts" } });
  });

  test("without --json people get every reply and a summary with units", async () => {
    const { stdout } = await cli(["probe", "ping", "127.0.0.1", "--count", "2"]);
    expect(stdout).toMatch(/^ +#1 +[\d.]+ ms +ttl \d+ +127\.0\.0\.1\n +#2 +[\d.]+ ms +[+−][\d.]+ +ttl \d+/m);
    expect(stdout).toMatch(/^ {2}loss +0 % +2 of 2 answered +· +true loss 0\.0 to 65\.8 % \(95 % sure\)$/m);
    expect(stdout).toMatch(/^ {2}round trip +[\d.]+ ms +min [\d.]+ ms +· +max [\d.]+ ms$/m);
    expect(stdout).not.toContain("\u001b");
  });

  test("--verbose lists every metric", async () => {
    const { stdout } = await cli(["probe", "ping", "127.0.0.1", "--count", "1", "--verbose"]);
    expect(stdout).toMatch(/ping_rtt_min +[\d.]+ ms +Round trip, minimum/);
  });
});

test("a name that does not exist is the resolver's fault and no loss", async () => {
  const { code, stdout } = await cli(["probe", "ping", "does-not-exist.invalid", "--count", "2", "--json"]);
  const result = json(stdout);
  expect(code).toBe(1);
  expect(result.status).toBe("failed");
  expect(result.error?.source).toBe("resolver");
  expect(["dns_not_found", "dns_timeout", "dns_failed", "no_address"]).toContain(result.error?.code);
  expect(result.metrics.ping_loss_pct).toBeNull();
  expect(new Set(Object.values(result.reasons))).toEqual(new Set(["dns_fail"]));
  everyMetricExplained(result);
});

/** A network namespace of its own in which nothing answers on 127.66.0.1. */
const BLACKHOLE = `ip link set lo up && nft add table ip t && nft add chain ip t i '{type filter hook input priority 0;}' && nft add rule ip t i ip daddr 127.66.0.1 drop && exec "$@"`;
const namespaced = (...command: string[]) => run("unshare", ["-n", "sh", "-c", BLACKHOLE, "sh", ...command]);
const canBlackhole = process.platform === "linux" && hasPing && (await namespaced("true")).code === 0;

describe.skipIf(!canBlackhole)("in a network namespace (needs root, nft)", () => {
  test("a dead address: 100 % loss, in (count − 1) · interval + time-out", async () => {
    const { code, stdout } = await namespaced(
      process.execPath,
      CLI,
      "probe",
      "ping",
      "127.66.0.1",
      "--count",
      "4",
      "--timeout",
      "1",
      "--json",
    );
    const result = json(stdout);
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(result.metrics).toMatchObject({
      ping_sent: 4,
      ping_received: 0,
      ping_loss_pct: 100,
      ping_rtt_min: null,
      ping_loss_burst_max: 4,
    });
    expect(result.reasons.ping_rtt_min).toBe("timeout");
    expect(result.duration_ms).toBeGreaterThan(1500);
    // Three intervals and one time-out, and a tenth more.
    expect(result.duration_ms).toBeLessThan(1.1 * 1600 + 250);
    everyMetricExplained(result);
  });

  test("a host without a route says so, and it is no loss", async () => {
    const { stdout } = await namespaced(process.execPath, CLI, "probe", "ping", "10.77.100.1", "--count", "1", "--json");
    expect(json(stdout)).toMatchObject({ error: { code: "no_route", source: "agent" }, metrics: { ping_loss_pct: null } });
  });
});

describe("hosts that cannot measure", () => {
  test("a missing ping exits 3 and says what to install; TCP is measured apart from it", async () => {
    const { code, stdout, stderr } = await cli(["probe", "ping", "127.0.0.1", "--count", "3", "--json"], {
      STREAMSWARM_TOOL_PATH: fakeTools({}),
    });
    expect(code).toBe(3);
    const result = json(stdout);
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "tool_missing", source: "tool" },
      metrics: { ping_loss_pct: null, ping_rtt_median: null, ping_method: "tcp", tcp_ping_sent: 3, tcp_ping_received: 3 },
      reasons: { ping_loss_pct: "tool_missing", ping_rtt_median: "tool_missing" },
    });
    expect(stderr).toMatch(/install.*measured by TCP/);
    everyMetricExplained(result);
  });

  test("so does a PATH that names none of the system's directories", async () => {
    const { code, stderr } = await cli(["probe", "ping", "127.0.0.1", "--count", "1"], { PATH: scratch() });
    expect(code).toBe(3);
    expect(stderr).toMatch(/install/);
  });

  test("a missing right is no loss", async () => {
    const tools = fakeTools({
      ping: `[ "$1" = -V ] && echo 'ping from iputils 20221126' && exit 0\necho 'ping: socktype: SOCK_RAW' >&2; echo 'ping: socket: Operation not permitted' >&2; exit 2`,
    });
    const args = ["probe", "ping", "127.0.0.1", "--count", "2", "--json"];
    const { code, stdout } = await cli(args, { STREAMSWARM_TOOL_PATH: tools });
    const result = json(stdout);
    expect(code).toBe(3);
    expect(result).toMatchObject({
      status: "partial",
      flags: ["tcp_fallback"],
      error: { code: "no_permission", source: "agent" },
    });
    expect(result.metrics).toMatchObject({ ping_loss_pct: null, ping_sent: null, tcp_ping_loss_pct: 0 });
    expect(result.reasons.ping_loss_pct).toBe("no_permission");
    expect(result.reasons.ping_rtt_median).toBe("no_permission");
    everyMetricExplained(result);
  });

  test("output nobody understands is no loss either", async () => {
    const tools = fakeTools({ ping: `echo 'Antwort von 127.0.0.1: Bytes=32 Zeit<1ms TTL=128'` });
    const { stdout } = await cli(["probe", "ping", "127.0.0.1", "--count", "1", "--json"], { STREAMSWARM_TOOL_PATH: tools });
    expect(json(stdout)).toMatchObject({
      error: { code: "unreadable_output", source: "tool" },
      metrics: { ping_loss_pct: null },
    });
  });
});

describe("wrong arguments exit 2, name what is wrong, and start nothing", () => {
  const marker = join(scratch(), "spawned");
  const tools = fakeTools({ ping: `touch ${marker}; exit 0` });
  const refused: [string, string[], string][] = [
    ["option as destination", ["-f"], "destination"],
    ["option behind --", ["--", "-f"], "destination"],
    ["long option behind --", ["--", "--flood"], "destination"],
    ["empty", [""], "destination"],
    ["shell word", ["127.0.0.1;reboot"], "destination"],
    ["command substitution", ["$(reboot)"], "destination"],
    ["newline", ["127.0.0.1\n-f"], "destination"],
    ["space and option", ["127.0.0.1 -f"], "destination"],
    ["octal", ["010.077.100.001"], "destination"],
    ["short form", ["10.77.25601"], "destination"],
    ["hexadecimal", ["0x0a4d6401"], "destination"],
    ["number", ["2130706433"], "destination"],
    ["URL", ["http://127.0.0.1/"], "destination"],
    ["broadcast", ["255.255.255.255"], "destination"],
    ["multicast", ["224.0.0.1"], "destination"],
    ["unspecified", ["0.0.0.0"], "destination"],
    ["metadata", ["169.254.169.254"], "destination"],
    ["zone on a global address", ["2001:db8::1%eth0"], "destination"],
    ["long name", [`${"a".repeat(64)}.example`], "destination"],
    ["count 0", ["127.0.0.1", "--count", "0"], "--count"],
    ["count too large", ["127.0.0.1", "--count", "1001"], "--count"],
    ["count with option", ["127.0.0.1", "--count", "5 -f"], "--count"],
    ["count not whole", ["127.0.0.1", "--count", "1.5"], "--count"],
    ["interval below 0.2 s", ["127.0.0.1", "--interval", "0.01"], "--interval"],
    ["size 0", ["127.0.0.1", "--packet-size", "0"], "--packet-size"],
    ["size above what IPv4 carries", ["127.0.0.1", "--packet-size", "65508"], "--packet-size"],
    ["DSCP 64", ["127.0.0.1", "--dscp", "64"], "--dscp"],
    ["IP version 5", ["127.0.0.1", "--ip-version", "5"], "--ip-version"],
    ["other family", ["127.0.0.1", "--ip-version", "6"], "--ip-version"],
    ["no destination", [], "destination"],
    ["two destinations", ["127.0.0.1", "127.0.0.2"], "arguments"],
    ["unknown option", ["127.0.0.1", "--flood"], "--flood"],
  ];
  /** The parser of the command line itself speaks first for these. */
  const byCommandLine = ["option as destination", "no destination", "two destinations", "unknown option"];
  /** Of the others, one of each kind goes the whole way as well. */
  const wholeWay = [
    ...byCommandLine,
    "option behind --",
    "empty",
    "command substitution",
    "octal",
    "count 0",
    "count with option",
  ];

  test.each(refused.filter(([name]) => !byCommandLine.includes(name)))("%s", (_name, args, named) => {
    const [destination = "", flag, value] = args.filter((arg) => arg !== "--" || args.length === 1);
    const given =
      flag === undefined ? {} : { [flag.replace(/^--/, "").replace(/-([a-z])/g, (_, c: string) => c.toUpperCase())]: value };
    expect(() => readParameters("ping", destination, given)).toThrow(UsageError);
    expect(() => readParameters("ping", destination, given)).toThrow(named);
  });

  test.concurrent.each(refused.filter(([name]) => wholeWay.includes(name)))(
    "%s, by the program itself",
    async (_name, args, named) => {
      const { code, stdout, stderr } = await cli(["probe", "ping", ...args], { STREAMSWARM_TOOL_PATH: tools });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(named);
      expect(existsSync(marker)).toBe(false);
    },
  );

  test.each(["mesh", "client:0123456789abcdef"])("a client as destination: %s", async (destination) => {
    const { code, stderr } = await cli(["probe", "ping", destination]);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("only an agent with a server knows") });
  });

  test("unknown test type", async () => {
    const { code, stderr } = await cli(["probe", "telepathy", "127.0.0.1"]);
    expect(code).toBe(2);
    expect(stderr).toContain("telepathy");
  });
});

test.skipIf(!existsSync("/dev/full"))("output that cannot be written is an error in one line", async () => {
  const { code, stderr } = await run("/bin/sh", [
    "-c",
    `"$0" "$@" > /dev/full`,
    process.execPath,
    CLI,
    "probe",
    "dns",
    "no-such.invalid",
    "--resolver",
    "127.0.0.1:9",
    "--timeout",
    "1",
  ]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: "error: the output cannot be written (ENOSPC)\n" });
});

test.skipIf(process.platform !== "linux")("a tool that never ends dies with its children when its time is over", async () => {
  const pids = join(scratch(), "pids");
  // Ignores SIGINT and has a child of its own in the same group.
  const hang = `[ "$1" = -V ] && echo 'ping from iputils 20221126' && exit 0\ntrap '' INT\nsleep 60 & echo $$ $! > ${pids}\nwait; wait; sleep 60`;
  const tools = `${fakeTools({ ping: hang })}:/bin:/usr/bin`;
  const { code, stdout, took_ms } = await cli(["probe", "ping", "127.0.0.1", "--count", "1", "--timeout", "0.1", "--json"], {
    STREAMSWARM_TOOL_PATH: tools,
  });
  expect(code).toBe(1);
  expect(json(stdout).error?.code).toBe("deadline");
  expect(took_ms).toBeLessThan(6000);
  for (const pid of readFileSync(pids, "utf8").trim().split(" ")) expect(isRunning(pid), `process ${pid}`).toBe(false);
});

/** A killed process may stay as a zombie where nobody collects orphans; it runs no more. */
function isRunning(pid: string): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}
