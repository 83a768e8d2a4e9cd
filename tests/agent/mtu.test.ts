// The path MTU through the real command line: the real ping where the kernel can be made to drop, tools that act a path elsewhere.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { Budget } from "../../agent/budget.ts";
import { readParameters } from "../../agent/cli-probe.ts";
import { findTool, runningTools } from "../../agent/exec.ts";
import { UsageError } from "../../agent/exit.ts";
import { parseRouteGet } from "../../agent/parsers/ip-route.ts";
import { parseTracepathMtu } from "../../agent/parsers/tracepath-mtu.ts";
import { parseSizedTraceroute } from "../../agent/parsers/traceroute-mtu.ts";
import { mtu as mtuProbe } from "../../agent/probes/mtu.ts";
import { MtuBelief, type SizeEvidence } from "../../agent/probes/mtu-belief.ts";
import { runTest } from "../../agent/runner.ts";
import { CLI, type CliResult, cli, fakeTools, isRunning, run, scratch } from "./helpers/cli.ts";
import { calm } from "./helpers/flags.ts";
import { runContext } from "./helpers/run-context.ts";

const json = (stdout: string): CliResult => {
  const result = JSON.parse(stdout) as CliResult;
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("mtu")));
  for (const [name, value] of Object.entries(result.metrics)) {
    if (value === null) expect(result.reasons[name], name).toBeTypeOf("string");
    else expect(result.reasons[name], name).toBeUndefined();
  }
  return result;
};

describe("what the tools print", () => {
  const dir = fileURLToPath(new URL("./fixtures/mtu/", import.meta.url));
  const names = readdirSync(dir)
    .filter((name) => name.endsWith(".stdout"))
    .map((name) => name.replace(".stdout", ""));
  const parserOf = (name: string): ((text: string) => unknown) =>
    name.startsWith("ip_") ? parseRouteGet : name.startsWith("tracepath") ? parseTracepathMtu : parseSizedTraceroute;

  test.each(names)("fixture %s", (name) => {
    const expected: unknown = JSON.parse(readFileSync(`${dir}${name}.json`, "utf8"));
    expect(parserOf(name)(readFileSync(`${dir}${name}.stdout`, "utf8")) ?? null).toEqual(expected);
  });

  test("an interface name never leads out of its directory", () => {
    const route = (dev: string) => parseRouteGet(JSON.stringify([{ dst: "192.0.2.1", dev }]));
    for (const dev of ["../../etc", "..", ".", "a/b", "", "a b", "x".repeat(16)]) expect(route(dev), dev).toBeUndefined();
    expect(route("eth0.100")?.dev).toBe("eth0.100");
  });
});

describe("the belief", () => {
  /** Plays the search against a path whose answers get lost at random; the sizes chosen and the evidence alone decide. */
  function play(mtu: number, loss: number, random: () => number): { mtu: number; packets: number } {
    const belief = new MtuBelief(84, 1500);
    const known = new Map<number, { size: number; passed: boolean; refused: boolean; vanished: number }>();
    let packets = 0;
    for (let round = 0; round < 400; round++) {
      belief.update([...known.values()] as SizeEvidence[], loss);
      const likeliest = belief.likeliest();
      if (likeliest.probability > 0.999) return { mtu: likeliest.mtu, packets };
      for (const size of belief.bestSizes(5)) {
        const entry = known.get(size) ?? { size, passed: false, refused: false, vanished: 0 };
        known.set(size, entry);
        packets += 1;
        if (size <= mtu && random() >= loss) entry.passed = true;
        else entry.vanished += 1;
      }
    }
    return { mtu: 0, packets };
  }

  test.each([0.02, 0.3, 0.7])("finds any path MTU at a loss of %s", (loss) => {
    let state = 12345;
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return ((state >>> 8) & 0xffffff) / 0x1000000;
    };
    let wrong = 0;
    let packets = 0;
    for (let round = 0; round < 60; round++) {
      const mtu = 1280 + Math.floor(random() * 221);
      const found = play(mtu, loss, random);
      if (found.mtu !== mtu) wrong += 1;
      packets += found.packets;
    }
    expect(wrong).toBeLessThanOrEqual(1);
    expect(packets / 60).toBeLessThan(loss === 0.02 ? 40 : 250);
  });

  test("a router's claim is tried first and given up when it does not pass", () => {
    const belief = new MtuBelief(84, 1500);
    belief.claim(1337);
    const refused = { size: 1500, passed: false, refused: true, vanished: 0 };
    belief.update([refused], 0.1);
    expect(belief.bestSizes(5)).toEqual(expect.arrayContaining([1337, 1338]));
    belief.update([refused, { size: 1337, passed: false, refused: false, vanished: 9 }], 0.1);
    expect(belief.passes(1337)).toBeLessThan(0.01);
    expect(Math.max(...belief.bestSizes(5))).toBeLessThanOrEqual(1337);
  });

  test("a claim that larger packets disprove does not count", () => {
    const belief = new MtuBelief(84, 1500);
    belief.claim(1300);
    belief.update([{ size: 1400, passed: true, refused: false, vanished: 0 }], 0.1);
    expect(belief.likeliest().mtu).toBe(1500);
  });
});

/**
 * A ping that acts a path: packets of up to `limit` bytes of IP come back, larger ones vanish or are refused by a router; `loses`
 * is a shell condition on n, the number of the packet. A router at each TTL below 3 answers unless the packet is too big for
 * the link behind the first.
 */
function pathOf(limit: number, more: { refuses?: string; loses?: string } = {}): string {
  const refuse =
    more.refuses === undefined ? "" : `echo "From 192.0.2.1 icmp_seq=$n Frag needed and DF set (mtu = ${more.refuses})"`;
  return `[ "$1" = -V ] && echo 'ping from iputils 20221126' && exit 0
ttl=64; count=1
while [ $# -gt 1 ]; do case $1 in -s) size=$2; shift;; -t) ttl=$2; shift;; -c) count=$2; shift;; -i|-W|-M) shift;; esac; shift; done
total=$((size + 28)); n=0
echo "PING $1 ($1) $size($total) bytes of data."
trap 'echo; echo "--- $1 ping statistics ---"; echo "$n packets transmitted, 0 received, 100% packet loss, time 1ms"; exit 0' INT
while [ $n -lt $count ]; do
  n=$((n + 1))
  if ${more.loses ?? "false"}; then :
  elif [ $ttl -lt 2 ]; then echo "From 192.0.2.1 icmp_seq=$n Time to live exceeded"
  elif [ $total -gt ${limit} ]; then ${refuse === "" ? ":" : refuse}
  elif [ $ttl -lt 3 ]; then echo "From 192.0.2.2 icmp_seq=$n Time to live exceeded"
  else echo "$((size + 8)) bytes from $1: icmp_seq=$n ttl=62 time=2.00 ms"; fi
  /bin/sleep 0.1
  echo "no answer yet for icmp_seq=$n"
done`;
}

const linux = process.platform === "linux";

/** A route that leaves by `lo`, so that no interface of this host limits the acted path. */
const ROUTE = `echo '[{"dst":"192.0.2.9","dev":"lo"}]'`;

/** One run in this process, with a tool that acts. */
async function acted(ping: string, params: Record<string, unknown> = {}): Promise<CliResult> {
  process.env.STREAMSWARM_TOOL_PATH = fakeTools({ ping, ip: ROUTE });
  const order = { type: "mtu", destination: "192.0.2.9", params: { max: 1500, ...params } };
  const result = await runTest(order, new AbortController().signal).finally(() => {
    delete process.env.STREAMSWARM_TOOL_PATH;
  });
  return json(JSON.stringify(result));
}

describe.skipIf(!linux)("paths acted by a tool", () => {
  test("a black hole: exact, named, and the router before it", async () => {
    const result = await acted(pathOf(1387));
    expect(result).toMatchObject({ status: "ok", error: null });
    expect(result.metrics).toMatchObject({
      path_mtu: 1387,
      path_mtu_method: "search",
      pmtu_blackhole: true,
      pmtu_limiting_hop: "192.0.2.1",
      pmtu_at_least: 1387,
      pmtu_icmp_mtu: null,
      pmtu_loss_pct: 0,
    });
    expect(result.detail).toMatchObject({ largest_passed: 1387, smallest_failed: 1388 });
    expect(Number(result.detail.false_failure)).toBeLessThan(1e-3);
    expect(result.duration_ms).toBeLessThan(15_000);
  });

  test("every third packet lost: still exact", async () => {
    const result = await acted(pathOf(1291, { loses: "[ $((n % 3)) -eq 0 ]" }));
    expect(result.metrics).toMatchObject({ path_mtu: 1291, pmtu_blackhole: true });
    expect(Number(result.metrics.pmtu_loss_pct)).toBeGreaterThan(15);
  });

  test("a router that says so: its claim passes, one byte more is refused, no black hole", async () => {
    const result = await acted(pathOf(1400, { refuses: "1400" }));
    expect(result.metrics).toMatchObject({
      path_mtu: 1400,
      path_mtu_method: "icmp_verified",
      pmtu_blackhole: false,
      pmtu_limiting_hop: "192.0.2.1",
      pmtu_icmp_mtu: 1400,
    });
  });

  test("a router that claims too little is not believed", async () => {
    const result = await acted(pathOf(1400, { refuses: "1300" }));
    expect(result.metrics).toMatchObject({ path_mtu: 1400, path_mtu_method: "icmp_verified", pmtu_icmp_mtu: 1300 });
  });

  test("a router that claims too much is not believed either, and what vanishes below is a black hole", async () => {
    const lying = pathOf(1350).replace(
      "if [ ",
      `if [ $total -gt 1400 ]; then echo "From 192.0.2.1 icmp_seq=$n Frag needed and DF set (mtu = 1400)"\n  elif [ `,
    );
    const result = await acted(lying);
    expect(result.metrics).toMatchObject({ path_mtu: 1350, pmtu_blackhole: true, pmtu_icmp_mtu: 1400 });
  });

  test.each([
    ["prints no times", ""],
    ["finds its clock set back", " time=0.000 ms"],
  ])("a ping that %s: sizes all the same, and no round trip", async (_name, time) => {
    const result = await acted(pathOf(1400, { refuses: "1400" }).replace(" time=2.00 ms", time));
    expect(result.metrics).toMatchObject({ path_mtu: 1400, path_mtu_method: "icmp_verified", pmtu_rtt_median: null });
  });

  test("a router that names no size", async () => {
    const result = await acted(pathOf(1444, { refuses: "0" }));
    expect(result.metrics).toMatchObject({ path_mtu: 1444, path_mtu_method: "icmp_verified", pmtu_icmp_mtu: null });
    expect(result.metrics).toMatchObject({ pmtu_blackhole: false, pmtu_limiting_hop: "192.0.2.1" });
  });

  test("a size the kernel remembers is told as such where nothing larger can be sent", async () => {
    const refusing = pathOf(1420).replace(
      "total=$((size + 28)); n=0",
      `total=$((size + 28)); n=0; [ $total -gt 1420 ] && { echo "PING x (x) 1(1) bytes of data."; while :; do echo 'ping: local error: message too long, mtu=1420' >&2; /bin/sleep 0.1; done; }`,
    );
    const result = await acted(refusing);
    expect(calm(result)).toMatchObject({ status: "partial", flags: ["route_cache"] });
    expect(result.metrics).toMatchObject({ path_mtu: 1420, path_mtu_method: "route_cache", pmtu_blackhole: null });
  });

  test("people get a row for each size and the verdict", async () => {
    const tools = fakeTools({ ping: pathOf(1387), ip: ROUTE });
    const { stdout } = await cli(["probe", "mtu", "192.0.2.9", "--max", "1500"], { STREAMSWARM_TOOL_PATH: tools });
    expect(stdout).toMatch(/^ +1387 B {2}passes +2\.000 ms$/m);
    expect(stdout).toMatch(/^ +1388 B {2}vanishes +no answer to \d+, no ICMP message$/m);
    expect(stdout).toMatch(/^ {2}Path MTU +1387 bytes; larger packets vanish behind 192\.0\.2\.1 .*black hole$/m);
    expect(stdout).not.toContain("\u001b");
  });

  test("a deadline too short: the interval that is proven, never a guess", async () => {
    const result = await acted(pathOf(1387, { loses: "[ $((n % 5)) -ne 1 ]" }), { deadline: 3 });
    expect(result).toMatchObject({ status: "partial", error: { code: "deadline" }, metrics: { path_mtu: null } });
    expect(result.reasons.path_mtu).toBe("too_few_samples");
    expect(Number(result.metrics.pmtu_at_least)).toBeLessThanOrEqual(1387);
    expect(result.detail.end).toBe("deadline");
    expect(result.duration_ms).toBeGreaterThan(2700);
    expect(result.duration_ms).toBeLessThan(3300);
  });

  test("a run that is stopped says so and leaves nothing behind", async () => {
    process.env.STREAMSWARM_TOOL_PATH = fakeTools({ ping: pathOf(1387), ip: ROUTE });
    const stop = new AbortController();
    const order = { type: "mtu", destination: "192.0.2.9", params: { max: 1500 } };
    const rows: string[] = [];
    const result = await runTest(order, stop.signal, {
      watch: (row) => {
        rows.push(row.map((cell) => cell.text).join(" "));
        stop.abort();
      },
    }).finally(() => {
      delete process.env.STREAMSWARM_TOOL_PATH;
    });
    expect(rows.length).toBeGreaterThan(0);
    expect(result).toMatchObject({ status: "failed", error: { code: "aborted" }, metrics: { path_mtu: null } });
    expect(runningTools()).toBe(0);
  });
});

/** In a network namespace of its own: `lo` with an MTU and rules for what arrives. */
const namespaced = (setup: string, ...args: string[]) =>
  run("unshare", ["-n", "-m", "sh", "-c", `${setup}\nexec "$@"`, "sh", process.execPath, CLI, "probe", "mtu", ...args, "--json"]);
const RULES = "nft add table inet t && nft add chain inet t i '{type filter hook input priority 0;}' && nft add rule inet t i";
const UP = "mount -t sysfs sysfs /sys && ip link set lo up && ip link set lo mtu 1500";
const canName =
  linux &&
  findTool("ping") !== undefined &&
  (await run("unshare", ["-n", "-m", "sh", "-c", `${UP} && ${RULES} accept`])).code === 0;

describe.skipIf(!canName)("the real ping in a network namespace (needs root, nft)", () => {
  test.each([
    ["IPv4", "127.0.0.1", "icmp type echo-request"],
    ["IPv6", "::1", "icmpv6 type echo-request"],
  ])("%s: packets above 1366 vanish, and 30 %% of all others", async (_name, address, what) => {
    const setup = `${UP} && ${RULES} ${what} meta length gt 1366 drop && nft add rule inet t i ${what} numgen random mod 100 lt 30 drop`;
    const { code, stdout } = await namespaced(setup, address);
    const result = json(stdout);
    expect({ code, error: result.error }).toEqual({ code: 0, error: null });
    expect(result.metrics).toMatchObject({
      path_mtu: 1366,
      pmtu_blackhole: true,
      pmtu_limiting_hop: null,
      pmtu_interface_mtu: 1500,
    });
    expect(result.duration_ms).toBeLessThan(15_000);
  });

  test("the whole MTU of the interface passes", async () => {
    const result = json((await namespaced(UP, "127.0.0.1")).stdout);
    expect(result.metrics).toMatchObject({ path_mtu: 1500, path_mtu_method: "interface", pmtu_blackhole: false });
    expect(result.metrics.pmtu_probes).toBeLessThan(20);
  });

  test("a dead address ends by itself before its deadline, without numbers", async () => {
    const { code, stdout, took_ms } = await namespaced(`${UP} && ${RULES} drop`, "127.0.0.1", "--deadline", "3");
    const result = json(stdout);
    expect(code).toBe(1);
    expect(result).toMatchObject({ status: "failed", error: { code: "no_reply", source: "network" } });
    expect(result.metrics).toMatchObject({ path_mtu: null, pmtu_at_least: null, pmtu_loss_pct: null });
    expect(result.duration_ms).toBeLessThan(3300);
    expect(took_ms).toBeLessThan(8000);
  });

  test("a host without a route says so", async () => {
    const result = json((await namespaced(UP, "10.77.100.1")).stdout);
    expect(result).toMatchObject({ error: { code: "no_route", source: "agent" }, metrics: { path_mtu: null } });
  });
});

test.skipIf(findTool("ping") === undefined)(
  "loopback: larger packets than asked for are not tried, and nothing is made up",
  async () => {
    const { code, stdout } = await cli(["probe", "mtu", "127.0.0.1", "--max", "4000", "--json"]);
    const result = json(stdout);
    expect({ code, status: result.status }).toEqual({ code: 0, status: "ok" });
    expect(result.metrics).toMatchObject({ path_mtu: null, pmtu_at_least: 4000, pmtu_blackhole: false });
  },
);

describe("hosts that cannot measure", () => {
  const measured = (tools: Record<string, string>, ...args: string[]) =>
    cli(["probe", "mtu", "127.0.0.1", "--json", ...args], { STREAMSWARM_TOOL_PATH: fakeTools(tools) });
  const VERSION = `[ "$1" = -V ] && echo 'ping from iputils 20221126' && exit 0`;

  test("no ping and no tracepath: exit 3 and what to install", async () => {
    const { code, stdout, stderr } = await measured({});
    expect(code).toBe(3);
    expect(json(stdout)).toMatchObject({ status: "failed", error: { code: "tool_missing", source: "tool" } });
    expect(stderr).toMatch(/install/);
  });

  test.skipIf(!linux)("no ping, but a tracepath: its answer, labelled", async () => {
    const tracepath = readFileSync(fileURLToPath(new URL("./fixtures/mtu/tracepath_length.stdout", import.meta.url)), "utf8");
    const tools = fakeTools({ tracepath: `/bin/cat <<'END'\n${tracepath}END`, ip: ROUTE });
    const { stdout } = await cli(["probe", "mtu", "10.77.100.1", "--json"], { STREAMSWARM_TOOL_PATH: tools });
    expect(json(stdout).metrics).toMatchObject({
      path_mtu: 1400,
      path_mtu_method: "tracepath",
      pmtu_limiting_hop: "10.77.1.1",
      pmtu_loss_pct: null,
    });
  });

  test.skipIf(!linux)("the ping of BusyBox cannot forbid fragmentation", async () => {
    const { code, stdout } = await measured({ ping: `echo 'BusyBox v1.35.0 multi-call binary.' >&2; exit 1` });
    expect(code).toBe(3);
    expect(json(stdout).error).toMatchObject({ code: "unsupported", source: "tool" });
  });

  test.skipIf(!linux)("an fping in the place of ping cannot search", async () => {
    const { code, stdout } = await measured({ fping: `[ "$1" = -v ] && echo 'fping: Version 5.2'; exit 0` });
    expect(code).toBe(3);
    expect(json(stdout)).toMatchObject({ error: { code: "tool_missing" }, reasons: { path_mtu: "tool_missing" } });
  });

  test("stopped while its name is looked up, it says so", async () => {
    const context = runContext(new Budget(5000, AbortSignal.abort()));
    const result = await mtuProbe.run("name.invalid", { timeout: 1, deadline: 5 }, context);
    expect(result).toMatchObject({ error: { code: "aborted", source: "agent" }, metrics: { path_mtu: null } });
  });

  test("a missing right is no silence", async () => {
    const { code, stdout } = await measured({
      ping: `${VERSION}\necho 'ping: socktype: SOCK_RAW' >&2; echo 'ping: socket: Operation not permitted' >&2; exit 2`,
    });
    expect(code).toBe(3);
    expect(json(stdout)).toMatchObject({ error: { code: "no_permission" }, reasons: { path_mtu: "no_permission" } });
  });

  test("a tool that is killed, and one nobody understands", async () => {
    const killed = json((await measured({ ping: `${VERSION}\nkill -9 $$` })).stdout);
    expect(killed).toMatchObject({ status: "failed", error: { code: "tool_failed", source: "tool" } });
    const foreign = json((await measured({ ping: `echo 'Antwort von 127.0.0.1: Bytes=32 Zeit<1ms TTL=128'` })).stdout);
    expect(foreign).toMatchObject({ status: "failed", error: { code: "unreadable_output", source: "tool" } });
  });

  test.skipIf(!linux)("a tool that never ends dies with its children at the deadline", async () => {
    const pids = join(scratch(), "pids");
    const hang = `${VERSION}\ntrap '' INT\n/bin/sleep 60 & echo $$ $! >> ${pids}\nwait; wait; /bin/sleep 60`;
    const { code, stdout } = await measured({ ping: hang, ip: "exit 1" }, "--deadline", "2");
    const result = json(stdout);
    expect(code).toBe(1);
    expect(["no_reply", "deadline"]).toContain(result.error?.code);
    expect(result.duration_ms).toBeLessThan(2200);
    for (const pid of readFileSync(pids, "utf8").trim().split(/\s+/)) expect(isRunning(pid), `process ${pid}`).toBe(false);
  });
});

describe("wrong arguments exit 2, name what is wrong, and start nothing", () => {
  const marker = join(scratch(), "spawned");
  const tools = fakeTools({ ping: `touch ${marker}`, ip: `touch ${marker}`, tracepath: `touch ${marker}` });
  const refused: [string, string, Record<string, string>, string][] = [
    ["shell word", "127.0.0.1;reboot", {}, "destination"],
    ["octal", "010.077.100.001", {}, "destination"],
    ["option", "-f", {}, "destination"],
    ["URL", "http://127.0.0.1/", {}, "destination"],
    ["port", "127.0.0.1:80", {}, "destination"],
    ["max below IPv6's least", "127.0.0.1", { max: "1279" }, "--max"],
    ["max beyond jumbo frames", "127.0.0.1", { max: "9217" }, "--max"],
    ["max with option", "127.0.0.1", { max: "1400 -f" }, "--max"],
    ["timeout 0", "127.0.0.1", { timeout: "0" }, "--timeout"],
    ["timeout too long", "127.0.0.1", { timeout: "5.1" }, "--timeout"],
    ["timeout beyond the deadline", "127.0.0.1", { timeout: "3", deadline: "2" }, "--timeout"],
    ["deadline too short", "127.0.0.1", { deadline: "0.5" }, "--deadline"],
    ["deadline too long", "127.0.0.1", { deadline: "121" }, "--deadline"],
    ["IP version 5", "127.0.0.1", { ipVersion: "5" }, "--ip-version"],
    ["other family", "127.0.0.1", { ipVersion: "6" }, "--ip-version"],
  ];

  test.each(refused)("%s", (_name, destination, given, named) => {
    expect(() => readParameters("mtu", destination, given)).toThrow(UsageError);
    expect(() => readParameters("mtu", destination, given)).toThrow(named);
  });

  test.each([
    [["127.0.0.1;reboot"], "destination"],
    [["127.0.0.1", "--max", "100"], "--max"],
    [["127.0.0.1", "--flood"], "--flood"],
  ])("%j, by the program itself", async (args, named) => {
    const { code, stdout, stderr } = await cli(["probe", "mtu", ...args], { STREAMSWARM_TOOL_PATH: tools });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(named);
    expect(existsSync(marker)).toBe(false);
  });

  test("a search takes one place for paths, and one for each of its tools", () => {
    expect(mtuProbe.places({ timeout: 1, deadline: 15 })).toEqual({ path: 1, path_tools: 6 });
  });
});
