// What is made of the answers of hops: paths, changes, loss, networks. Recorded outputs, and rounds written down by hand.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseAsnTable } from "../../agent/asn.ts";
import { mtrReader, parseMtrRaw } from "../../agent/parsers/mtr.ts";
import { parseTracepath, parseTracepathLine } from "../../agent/parsers/tracepath.ts";
import { type HopAnswer, parseTraceroute, traceComplaint, tracerouteReader, wholeLines } from "../../agent/parsers/traceroute.ts";
import { differences, nextBaseline, PathMemory } from "../../agent/probes/path-compare.ts";
import { pathDetail } from "../../agent/probes/path-detail.ts";
import { hopTable } from "../../agent/probes/path-hops.ts";
import { distinctPaths, hasLoop, mergePaths } from "../../agent/probes/path-merge.ts";
import { pathHash, readPath } from "../../agent/probes/path-metrics.ts";
import { flowPorts, retriesOf } from "../../agent/probes/path-round.ts";
import type { PathRun } from "../../agent/probes/path-run.ts";
import type { FlowProbe } from "../../agent/probes/path-sweep.ts";
import { readTracerouteVersion, type SweepRequest } from "../../agent/probes/path-tool.ts";
import { windowsTraceScript } from "../../agent/probes/path-windows.ts";

const dir = fileURLToPath(new URL("./fixtures/traceroute/", import.meta.url));
const text = (name: string): string => readFileSync(`${dir}${name}`, "utf8");
const names = readdirSync(dir).flatMap((name) => (name.endsWith(".stdout") ? [name.replace(".stdout", "")] : []));

function parserOf(name: string) {
  if (name.startsWith("mtr")) return parseMtrRaw;
  return name.startsWith("tracepath") ? parseTracepath : parseTraceroute;
}

test.each(names)("fixture %s", (name) => {
  const answers = parserOf(name)(text(`${name}.stdout`));
  expect(answers.map(({ ttl, addr, rtt, icmp }) => [ttl, addr, rtt, icmp])).toEqual(JSON.parse(text(`${name}.json`)));
});

test.each(["traceroute_icmp_unpriv", "traceroute_tcp_unpriv"])("%s is a missing right", (name) => {
  expect(traceComplaint(text(`${name}.stderr`))).toBe("no_permission");
});

test.each(names)("fixture %s, line by line, tells the same answers", (name) => {
  const lines = wholeLines(text(`${name}.stdout`));
  const read = name.startsWith("mtr") ? mtrReader() : name.startsWith("tracepath") ? parseTracepathLine : tracerouteReader();
  const whole = parserOf(name)(text(`${name}.stdout`));
  const answered = (answers: readonly HopAnswer[]) =>
    answers.filter(({ addr }) => addr !== null).map((each) => JSON.stringify(each));
  expect(new Set(answered(lines.flatMap((line) => read(line))))).toEqual(new Set(answered(whole)));
});

test("a long run of mtr is read in one pass", () => {
  const count = 40_000;
  const numbers = Array.from({ length: count }, (_, i) => i);
  const sent = numbers.map((i) => `x 0 ${i}`);
  const answers = numbers.map((i) => `p 0 1000 ${i}`);
  const start = performance.now();
  const read = parseMtrRaw(`h 0 10.0.0.1\n${[...sent, ...answers].join("\n")}\n`);
  expect(performance.now() - start).toBeLessThan(1500);
  expect(read.filter(({ addr }) => addr === "10.0.0.1")).toHaveLength(count);
});

const TARGET = "192.0.2.9";

/** Probes of a flow from its path; `*` is a lost one. */
const probesOf = (flow: number, path: string): FlowProbe[] =>
  path.split(" ").map((word, i) => {
    const [addr = "*", icmp = null] = word.split("!").map((part, place) => (place === 1 ? `!${part}` : part));
    return { flow, ttl: i + 1, addr: addr === "*" ? null : addr, rtt: addr === "*" ? null : 1, icmp, mpls: null };
  });

/** The paths of flows 1, 2, … */
const pathsOf = (...paths: string[]) =>
  mergePaths(
    paths.flatMap((path, i) => probesOf(i + 1, path)),
    TARGET,
  );

const words = (paths: ReturnType<typeof pathsOf>): string[] => paths.map(({ path }) => path.map((addr) => addr ?? "*").join(" "));

describe("paths", () => {
  test("a lost answer of the target appends no hop", () => {
    expect(words(pathsOf("10.0.0.1 192.0.2.9", "10.0.0.1 * 192.0.2.9"))).toEqual(["10.0.0.1 192.0.2.9", "10.0.0.1 *"]);
  });

  test("a flow with a longer way keeps it", () => {
    const longer = "10.0.0.1 10.0.0.3 10.0.0.4 192.0.2.9";
    expect(words(pathsOf("10.0.0.1 10.0.0.2 192.0.2.9", longer))).toEqual(["10.0.0.1 10.0.0.2 192.0.2.9", longer]);
  });

  test("who refuses is no further step when it was passed already", () => {
    const [path] = pathsOf("10.0.0.1 10.0.0.2 10.0.0.2!X");
    expect(path).toMatchObject({
      path: ["10.0.0.1", "10.0.0.2"],
      reached: false,
      stopped: { ttl: 3, by: "10.0.0.2", icmp: "!X" },
    });
  });

  test("a router that refuses, but seldom, is one hop, where the first flow heard it", () => {
    const paths = pathsOf("10.0.0.1 10.0.0.2!N", "10.0.0.1 * * * 10.0.0.2!N", "* * 10.0.0.2!N");
    expect(words(paths)).toEqual(["10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2", "* 10.0.0.2"]);
    expect(paths.map(({ stopped }) => stopped?.ttl)).toEqual([2, 2, 2]);
  });

  test("paths that differ in silent hops only are one, and have one fingerprint", () => {
    const whole = distinctPaths(pathsOf("10.0.0.1 10.0.0.2 192.0.2.9", "10.0.0.1 * 192.0.2.9").map(({ path }) => path));
    expect(whole).toEqual([["10.0.0.1", "10.0.0.2", TARGET]]);
    expect(pathHash(whole)).toBe(pathHash(distinctPaths([["10.0.0.1", "10.0.0.2", TARGET]])));
    expect(pathHash(whole)).not.toBe(pathHash([["10.0.0.1", "10.0.0.3", TARGET]]));
  });

  test.each([
    ["10.0.0.1 10.0.0.2 10.0.0.1 10.0.0.2", true],
    ["10.0.0.1 10.0.0.2 10.0.0.2 10.0.0.2", true],
    ["10.0.0.1 10.0.0.2 10.0.0.2 192.0.2.9", false],
    ["10.0.0.1 * * 192.0.2.9", false],
  ])("%s loops: %s", (path, loops) => expect(hasLoop(pathsOf(path)[0]?.path ?? [], TARGET)).toBe(loops));

  test("what was silent for all is asked again by two flows, what was silent for one by that one", () => {
    const paths = pathsOf("10.0.0.1 * 10.0.0.3 192.0.2.9", "10.0.0.1 * 10.0.0.3 192.0.2.9", "10.0.0.1 * * 192.0.2.9");
    expect(retriesOf(paths, undefined)).toEqual([
      { flow: 1, first: 2, last: 2, queries: 1 },
      { flow: 2, first: 2, last: 2, queries: 1 },
      { flow: 3, first: 3, last: 3, queries: 1 },
    ]);
    expect(retriesOf(paths, nextBaseline(paths, undefined, false))).toEqual([{ flow: 3, first: 3, last: 3, queries: 1 }]);
  });

  test("flows keep their ports for a destination, above those systems give out", () => {
    const ports = flowPorts("192.0.2.9", 16);
    expect(flowPorts("192.0.2.9", 16)).toEqual(ports);
    expect(new Set(ports).size).toBe(16);
    for (const port of ports) expect(port >= 61_000 && port <= 65_535).toBe(true);
  });
});

describe("changes", () => {
  /** Rounds one after the other; what each reports. */
  function report(...rounds: string[][]): string[] {
    let baseline: ReturnType<typeof nextBaseline> | undefined;
    return rounds.map((round) => {
      const paths = pathsOf(...round);
      const found = baseline === undefined ? [] : differences(paths, baseline);
      baseline = nextBaseline(paths, baseline, found.length > 0);
      return found.map(({ ttl, from, to, flows }) => `${ttl}: ${from ?? "end"} > ${to} (${flows.length})`).join(", ");
    });
  }
  const A = "10.0.0.1 10.0.0.2 192.0.2.9";
  const B = "10.0.0.1 10.0.0.3 192.0.2.9";

  test("a new way is reported once, and so is the way back", () => {
    expect(report([A, A], [B, B], [B, B], [A, A])).toEqual(["", "2: 10.0.0.2 > 10.0.0.3 (2)", "", "2: 10.0.0.3 > 10.0.0.2 (2)"]);
  });

  test("flows that move among known ways change nothing, even when one way is gone for a while", () => {
    expect(report([A, B], [B, A], [B, B], [A, B])).toEqual(["", "", "", ""]);
  });

  test("silence is no change, and what was known before it still counts", () => {
    const silent = "10.0.0.1 * 192.0.2.9";
    expect(report([A], [silent], [A])).toEqual(["", "", ""]);
    expect(report([A], [silent], [B])).toEqual(["", "", "2: 10.0.0.2 > 10.0.0.3 (1)"]);
    expect(report([silent], [A])).toEqual(["", ""]);
  });

  test("a target that stops answering, refuses or comes back has not moved", () => {
    expect(report([A], ["10.0.0.1 * *"], [A])).toEqual(["", "", ""]);
    expect(report([A], ["10.0.0.1 10.0.0.2 10.0.0.2!H"], [A])).toEqual(["", "", ""]);
  });

  test("a longer and a shorter way are changes", () => {
    expect(report([A], ["10.0.0.1 10.0.0.2 10.0.0.4 192.0.2.9"], [A])).toEqual([
      "",
      "3: 192.0.2.9 > 10.0.0.4 (1)",
      "3: 10.0.0.4 > 192.0.2.9 (1)",
    ]);
  });

  test("addresses of a hop are bounded, and the latest stay", () => {
    let baseline: ReturnType<typeof nextBaseline> | undefined;
    for (let i = 0; i < 200; i++) {
      baseline = nextBaseline(pathsOf(A), baseline, false, [["10.0.0.1", `10.1.0.${i}`]]);
    }
    const known = [...(baseline?.known[1] ?? [])];
    expect(known).toHaveLength(64);
    expect(known).toEqual(expect.arrayContaining(["10.0.0.2", "10.1.0.199", "10.1.0.140"]));
    expect(known).not.toContain("10.1.0.100");
  });

  test("memory is bounded, and what is used stays", () => {
    const memory = new PathMemory<number>();
    memory.set("first", 0);
    for (let i = 1; i <= 300; i++) {
      memory.set(`test ${i}`, i);
      memory.get("first");
    }
    expect(memory.get("first")).toBe(0);
    expect(memory.get("test 1")).toBeUndefined();
    expect(memory.get("test 300")).toBe(300);
  });
});

describe("spellings of an IPv6 address", () => {
  test.each(["2001:DB8:0:0:0:0:0:10", "2001:0db8::0010", "2001:db8::10%eth0"])("%s is the target", (target) => {
    const probes = probesOf(1, "2001:db8::1 2001:db8::10 2001:db8::10");
    const [path] = mergePaths(probes, target);
    expect(path).toEqual({ flow: 1, path: ["2001:db8::1", "2001:db8::10"], reached: true, stopped: null });
    expect(hasLoop(["2001:db8::1", "2001:db8::10", "2001:db8::10", "2001:db8::10"], target)).toBe(false);
    expect(flowPorts(target, 2)).toEqual(flowPorts("2001:db8::10", 2));
  });
});

describe("what a result tells", () => {
  const flows = Array.from({ length: 16 }, (_, flow) => flow);
  const address = (flow: number, ttl: number) =>
    `2001:db8:1111:2222:3333:4444:${(0x1000 + flow).toString(16)}:${(0x1000 + ttl).toString(16)}`;
  const probes = flows.flatMap((flow) =>
    Array.from({ length: 64 }, (_, i): FlowProbe => {
      const mpls = `L=${1000 + flow},E=0,S=1,T=1/`.repeat(10);
      return { flow, ttl: i + 1, addr: address(flow, i + 1), rtt: 123.456, icmp: null, mpls };
    }),
  );
  const change = { ttl: 63, from: address(1, 63), to: address(2, 63), flows, round: 100 };
  const run: PathRun = {
    method: "udp",
    tried: [],
    paths: mergePaths(probes, TARGET),
    known: mergePaths(probes, TARGET),
    probes,
    target: [],
    echo: undefined,
    further: [],
    changes: Array.from({ length: 200 }, () => change),
    compared: true,
    rounds: 100,
    failure: null,
  };
  const reading = readPath(run, { address: TARGET, elapsed_s: 1, steady: true, table: undefined });

  test.each([
    ["names", "x".repeat(253), "Network"],
    ["networks", "x.example", `${"\u00e9".repeat(79)}"`],
    ["both", "x".repeat(253), "\u4e2d".repeat(80)],
  ])("64 hops of 16 flows with long %s stay small", (_what, name, network) => {
    const detail = pathDetail(run, reading, {
      names: { of: () => name },
      table: { find: () => ({ asn: 4_200_000_000, name: network }) },
    });
    expect(detail.hops).toHaveLength(64);
    expect(Buffer.byteLength(JSON.stringify(detail))).toBeLessThan(60_000);
    for (const hop of detail.hops) {
      expect(hop.addrs.length + (hop.more_addrs ?? 0)).toBe(16);
      expect(hop.names).toHaveLength(hop.addrs.length);
      expect(hop.names?.[0]?.length).toBeLessThanOrEqual(100);
    }
  });

  test("a few hops tell eight addresses each, and how many more there are", () => {
    const few = { ...reading, hops: reading.hops.slice(0, 3) };
    const detail = pathDetail(run, few, { names: undefined, table: undefined });
    expect(detail.hops[0]).toMatchObject({ addrs: flows.slice(0, 8).map((flow) => address(flow, 1)), more_addrs: 8 });
  });
});

describe("hops", () => {
  const flows = (...paths: string[]) => paths.flatMap((path, i) => probesOf(i + 1, path));

  test("loss counts where every later hop loses as much, never for silence", () => {
    const hops = hopTable(
      flows("* 10.0.0.2 *", "10.0.0.1 * *", "10.0.0.1 10.0.0.2 192.0.2.9", "10.0.0.1 10.0.0.2 192.0.2.9"),
      3,
      1,
    );
    expect(hops.map(({ sent, received, loss_pct }) => [sent, received, loss_pct])).toEqual([
      [4, 3, 25],
      [4, 3, 25],
      [4, 2, 50],
    ]);
    const [, silent] = hopTable(flows("10.0.0.1 * 192.0.2.9", "10.0.0.1 * 192.0.2.9"), 3, 1);
    expect(silent).toMatchObject({ addrs: [], received: 0, loss_pct: null, flags: ["silent"], rtt_median: null });
  });

  test("a router that answers some only is limited, not lossy", () => {
    const [, limited] = hopTable(flows("10.0.0.1 10.0.0.2 192.0.2.9", "10.0.0.1 * 192.0.2.9", "10.0.0.1 * 192.0.2.9"), 3, 1);
    expect(limited).toMatchObject({ sent: 3, received: 1, loss_pct: null, flags: ["rate_limited_likely"] });
  });

  test("one of two next hops that never answers is named as such", () => {
    const again = probesOf(2, "10.0.0.1 * 192.0.2.9");
    const [, partly] = hopTable([...flows("10.0.0.1 10.0.0.2 192.0.2.9", "10.0.0.1 * 192.0.2.9"), ...again], 3, 1);
    expect(partly).toMatchObject({ loss_pct: null, flags: ["partly_silent"] });
  });
});

describe("networks", () => {
  const table = parseAsnTable(
    [
      "# prefix asn name",
      "10.0.0.0/8 64500 Outer",
      "10.1.0.0/16 AS64501 Inner net",
      "10.1.2.0/24 64502",
      "2001:db8::/32 64510 Six",
      "192.0.2.0\t192.0.2.127\t64520\tZZ\tHalf, Inc",
      "198.51.100.0\t198.51.100.255\t0\tNone\tNot routed",
      "2001:db9::\t2001:db9:0:ffff:ffff:ffff:ffff:ffff\t64521\tZZ\tSix range",
      "300.0.0.0/8 64599 Wrong",
      "10.0.0.0/33 64599 Wrong",
      "garbage",
    ].join("\n"),
  );

  test.each([
    ["10.9.9.9", 64500, "Outer"],
    ["10.1.9.9", 64501, "Inner net"],
    ["10.1.2.3", 64502, ""],
    ["10.1.3.0", 64501, "Inner net"],
    ["10.255.255.255", 64500, "Outer"],
    ["192.0.2.127", 64520, "Half, Inc"],
    ["2001:db8:ffff::1", 64510, "Six"],
    ["2001:db9:0:1::1", 64521, "Six range"],
  ])("%s is in AS%i %s", (address, asn, name) => expect(table.find(address)).toEqual({ asn, name }));

  test.each(["9.255.255.255", "11.0.0.0", "192.0.2.128", "198.51.100.7", "2001:db7::1", "::ffff:10.1.2.3", "no address"])(
    "%s is in none",
    (address) => expect(table.find(address)).toBeUndefined(),
  );
});

describe("arguments", () => {
  const request: SweepRequest = {
    address: "192.0.2.9",
    family: 4,
    method: "udp",
    port: 33_434,
    flow: 61_005,
    first: 1,
    last: 30,
    queries: 1,
    timeout: 1,
  };
  const modern = readTracerouteVersion("/usr/bin/traceroute", "Modern traceroute for Linux, version 2.1.2\n");
  const args = (tool: typeof modern, more: Partial<SweepRequest> = {}) => {
    const command = tool.command({ ...request, ...more });
    return "args" in command ? command.args.join(" ") : command.unsupported;
  };

  test("a flow keeps its ports and, with IPv6, its label", () => {
    expect(args(modern)).toBe("-n -q 1 -w 1,0,0 -f 1 -m 30 -U -p 33434 -N 1 --sport=61005 -- 192.0.2.9");
    expect(args(modern, { family: 6, address: "2001:db8::9", method: "tcp", port: 443, dscp: 46 })).toBe(
      "-n -q 1 -w 1,0,0 -f 1 -m 30 -T -p 443 -N 1 --sport=61005 -l 61005 -t 184 -- 2001:db8::9",
    );
    expect(args(modern, { packet_size: 100 })).toMatch(/ -- 192\.0\.2\.9 128$/);
  });

  test("an older traceroute gets one wait, BusyBox what it knows", () => {
    expect(args(readTracerouteVersion("/t", "Modern traceroute for Linux, version 2.0.22, Apr 1"))).toContain("-w 1 -f 1");
    const busybox = readTracerouteVersion("/t", "BusyBox v1.35.0 (Debian) multi-call binary.");
    expect(args(busybox, { method: "icmp" })).toBe("-n -q 1 -w 1 -f 1 -m 30 -I -- 192.0.2.9");
    expect(args(busybox, { method: "tcp" })).toMatch(/cannot probe with TCP/);
    expect(busybox.steady("udp")).toBe(false);
  });

  test("the script for Windows holds numbers and the literal only", () => {
    const script = windowsTraceScript({ ...request, first: 2, last: 5, queries: 3, timeout: 0.5 });
    expect(script).toContain("[Net.IPAddress]::Parse('192.0.2.9')");
    expect(script).toContain("for($t=2;$t -le 5;$t++)");
    expect(script).toContain("Send($a,500,$b,$o)");
  });
});
