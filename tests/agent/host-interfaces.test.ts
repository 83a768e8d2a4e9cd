// Real interfaces in network namespaces of the test's own: traffic, drops, and interfaces made again under their name.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { MetricName } from "#contract/metrics";
import { LinuxHost } from "../../agent/host/linux.ts";
import { scratch } from "./helpers/cli.ts";

const names = { near: `ssh${process.pid}a`, far: `ssh${process.pid}b` };
const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** Whether namespaces with a pair of interfaces can be made here. */
function canIsolate(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  if (spawnSync("ping", ["-V"]).status !== 0 || spawnSync("ip", ["netns", "add", names.near]).status !== 0) return false;
  const pair = spawnSync("ip", ["-n", names.near, "link", "add", "x0", "type", "veth", "peer", "name", "x1"]).status === 0;
  ip("netns", "del", names.near);
  return pair;
}

const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** Fifty frames with an EtherType for local experiments (IEEE 802), which no protocol here takes. */
const UNKNOWN_FRAMES = `import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("f0", 0))
for _ in range(50): s.send(b"\\xff" * 6 + b"\\x02" + b"\\0" * 5 + b"\\x88\\xb5" + b"\\0" * 46)
`;

/** A link between the two namespaces, `n0` here and `f0` there, with a default route. */
function connectThem(): void {
  ip("-n", names.near, "link", "add", "n0", "mtu", "1400", "type", "veth", "peer", "name", "f0", "netns", names.far);
  for (const [space, link, address] of [
    [names.near, "n0", "198.51.100.1/24"],
    [names.far, "f0", "198.51.100.2/24"],
  ] as const) {
    ip("-n", space, "addr", "add", address, "dev", link);
    ip("-n", space, "link", "set", link, "up");
  }
  ip("-n", names.near, "route", "add", "default", "via", "198.51.100.2");
}

const inside = (file: string, ...args: string[]) =>
  execFileSync("ip", ["netns", "exec", names.near, file, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** What `ip` counts on an interface. */
function counted(link: string) {
  const [row] = JSON.parse(ip("-n", names.near, "-s", "-j", "link", "show", link)) as {
    stats64: Record<"rx" | "tx", { bytes: number; packets: number; errors: number; dropped: number }>;
  }[];
  if (row === undefined) throw new Error(`${link} is not there`);
  return { at: performance.now(), ...row.stats64 };
}

describe.skipIf(!canIsolate())("interfaces of a namespace (needs root and veth)", () => {
  let holder: ChildProcess | undefined;
  let host: LinuxHost;

  beforeAll(async () => {
    ip("netns", "add", names.near);
    ip("netns", "add", names.far);
    connectThem();
    // A process inside shows the namespace's /proc/net, and the /sys that `ip netns exec` mounts for it.
    holder = spawn("ip", ["netns", "exec", names.near, "sleep", "600"], { stdio: "ignore" });
    const seen = `/proc/${holder.pid}/root/sys/class/net`;
    const own = readlinkSync("/proc/self/ns/net");
    while (readlinkSync(`/proc/${holder.pid}/ns/net`) === own || !existsSync(`${seen}/n0`)) await sleep(5);
    const proc = scratch();
    mkdirSync(`${proc}/self`);
    symlinkSync("/proc/self/mountinfo", `${proc}/self/mountinfo`);
    for (const name of ["stat", "meminfo", "loadavg", "uptime"]) symlinkSync(`/proc/${name}`, `${proc}/${name}`);
    symlinkSync(`/proc/${holder.pid}/net`, `${proc}/net`);
    host = new LinuxHost({ proc, sys: `/proc/${holder.pid}/root/sys` });
  });

  afterAll(() => {
    holder?.kill();
    for (const name of Object.values(names)) spawnSync("ip", ["netns", "del", name]);
  });

  // A look soon after another is not kept.
  beforeEach(() => sleep(120));

  const look = async () => {
    const { sheet, detail } = await host.read();
    const figure = (name: MetricName): number => {
      const value = sheet.metrics[name];
      if (typeof value !== "number") throw new Error(`${name} is ${String(value)}: ${sheet.reasons[name] ?? "no reason"}`);
      return value;
    };
    return { figure, metrics: sheet.metrics, reasons: sheet.reasons, detail };
  };

  test("bytes, packets and rates while traffic flows: ip -s -j link (counters within what flows meanwhile, rates 10 %)", async () => {
    await look();
    const before = counted("n0");
    const first = await look();
    inside("ping", "-q", "-c", "100", "-i", "0.005", "-s", "1300", "198.51.100.2");
    const second = await look();
    const after = counted("n0");
    const seconds = (after.at - before.at) / 1000;
    expect(second.metrics).toMatchObject({
      if_kind: "virtual",
      if_mtu: 1400,
      if_speed_mbps: null,
      if_duplex: null,
      if_util_pct: null,
    });
    expect(second.detail).toMatchObject({ primary_interface: "n0", default_gateway: "198.51.100.2" });
    for (const way of ["rx", "tx"] as const) {
      expect(first.figure(`if_${way}_bytes`)).toBeGreaterThanOrEqual(before[way].bytes);
      expect(Math.abs(second.figure(`if_${way}_bytes`) - after[way].bytes)).toBeLessThanOrEqual(4000);
      expect(Math.abs(second.figure(`if_${way}_packets`) - after[way].packets)).toBeLessThanOrEqual(10);
      expect(second.figure(`if_${way}_errors`)).toBe(after[way].errors);
      const rate = (after[way].bytes - before[way].bytes) / seconds;
      expect(rate).toBeGreaterThan(50_000);
      expect(Math.abs(second.figure(`if_${way}_bytes_sec`) - rate)).toBeLessThanOrEqual(0.1 * rate);
      const packets = (after[way].packets - before[way].packets) / seconds;
      expect(Math.abs(second.figure(`if_${way}_packets_sec`) - packets)).toBeLessThanOrEqual(0.1 * packets + 5);
    }
    expect(second.detail.interfaces?.find((each) => each.name === "n0")).toMatchObject({ state: "up", rx_errors_sec: 0 });
  });

  test.skipIf(!hasPython)("drops: fifty frames of a protocol nobody speaks", async () => {
    await look();
    await sleep(120);
    const before = await look();
    execFileSync("ip", ["netns", "exec", names.far, "python3", "-c", UNKNOWN_FRAMES]);
    await sleep(120);
    const after = await look();
    const { rx } = counted("n0");
    expect(after.figure("if_rx_drops") - before.figure("if_rx_drops")).toBeGreaterThanOrEqual(50);
    expect(after.figure("if_rx_drops")).toBe(rx.dropped);
    expect(after.figure("if_rx_drops_sec")).toBeGreaterThan(1);
  });

  test("made again under its name, with more traffic than before: null, then rates again", async () => {
    inside("ping", "-q", "-c", "3", "-i", "0.01", "198.51.100.2");
    const before = await look();
    expect(before.figure("if_rx_bytes")).toBeGreaterThan(0);
    await sleep(120);
    ip("-n", names.near, "link", "del", "n0");
    connectThem();
    inside("ping", "-q", "-c", "150", "-i", "0.002", "-s", "1300", "198.51.100.2");
    expect(counted("n0").rx.bytes).toBeGreaterThan(before.figure("if_rx_bytes") / 2);
    const again = await look();
    for (const name of ["if_rx_bytes_sec", "if_tx_packets_sec", "if_rx_errors_sec"] as const)
      expect([again.metrics[name], again.reasons[name]], name).toEqual([null, "too_few_samples"]);
    await sleep(120);
    expect((await look()).figure("if_rx_bytes_sec")).toBeLessThan(100_000);
  });

  test("the default route moves to another interface, and away", async () => {
    ip("-n", names.near, "link", "add", "n1", "type", "veth", "peer", "name", "n2");
    for (const link of ["n1", "n2"]) ip("-n", names.near, "link", "set", link, "up");
    try {
      await look();
      await sleep(120);
      ip("-n", names.near, "route", "replace", "default", "dev", "n1");
      const before = counted("n1").rx.bytes;
      const moved = await look();
      expect(moved.detail).toMatchObject({ primary_interface: "n1", default_gateway: null });
      expect(moved.figure("if_rx_bytes")).toBeGreaterThanOrEqual(before);
      expect(moved.figure("if_rx_bytes")).toBeLessThanOrEqual(counted("n1").rx.bytes);
      expect(moved.figure("if_rx_bytes_sec")).toBeLessThan(100_000);
      ip("-n", names.near, "route", "del", "default");
      const without = await look();
      expect([without.metrics.if_rx_bytes, without.reasons.if_rx_bytes]).toEqual([null, "no_route"]);
    } finally {
      ip("-n", names.near, "link", "del", "n1");
      ip("-n", names.near, "route", "replace", "default", "via", "198.51.100.2");
    }
  });

  test("a link that goes down and up counts its changes and says its state", async () => {
    const before = await look();
    ip("-n", names.far, "link", "set", "f0", "down");
    const state = async () => (await look()).detail.interfaces?.find((each) => each.name === "n0")?.state;
    await expect.poll(state, { timeout: 5000 }).toMatch(/down/);
    ip("-n", names.far, "link", "set", "f0", "up");
    await expect.poll(state, { timeout: 5000 }).toBe("up");
    const after = await look();
    expect(after.figure("if_carrier_changes") - before.figure("if_carrier_changes")).toBe(2);
    const told = readFileSync(`/proc/${holder?.pid}/root/sys/class/net/n0/carrier_changes`, "utf8");
    expect(after.figure("if_carrier_changes")).toBe(Number(told));
  });

  test("sixty interfaces: the sample stays within its size and its cost (15 ms of processor time)", async () => {
    for (let i = 0; i < 30; i++) ip("-n", names.near, "link", "add", `m${i}`, "type", "veth", "peer", "name", `w${i}`);
    await look();
    const start = process.cpuUsage();
    for (let i = 0; i < 20; i++) await look();
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 20 / 1000).toBeLessThanOrEqual(15);
    const { detail } = await look();
    expect(detail.interfaces).toHaveLength(32);
    expect(detail.interfaces?.[0]?.name).toBe("n0");
    expect(JSON.stringify(detail).length).toBeLessThan(48 * 1024);
  });
});
