import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import { parseChildTime } from "../../agent/host/children.ts";
import * as proc from "../../agent/host/parse-proc.ts";
import { cpuShares, rate } from "../../agent/host/rates.ts";
import { SelfMonitor } from "../../agent/self.ts";
import { cli } from "./helpers/cli.ts";

const recorded = (name: string) => readFileSync(fileURLToPath(new URL(`./fixtures/proc/${name}.txt`, import.meta.url)), "utf8");

describe("recorded /proc (Linux 6.18, two processors, one virtio disk)", () => {
  test("stat", () => {
    const stat = proc.parseStat(recorded("stat"));
    expect(stat?.cpu).toEqual({
      user: 37220,
      nice: 0,
      system: 16679,
      idle: 636122,
      iowait: 1274,
      irq: 0,
      softirq: 279,
      steal: 78,
    });
    expect(stat?.cores).toBe(2);
    expect(stat?.contextSwitches).toBeGreaterThan(0);
  });
  test("loadavg, uptime, file handles", () => {
    expect(proc.parseLoadavg(recorded("loadavg"))).toEqual([0.57, 0.6, 0.36]);
    expect(proc.parseUptime(recorded("uptime"))).toBe(3472.34);
    expect(proc.parseFileNr(recorded("file-nr"))).toBe(870);
  });
  test("meminfo is in bytes", () => {
    const values = proc.parseMeminfo(recorded("meminfo"));
    expect(values.get("MemTotal")).toBe(24684084 * 1024);
    expect(values.get("MemAvailable")).toBe(23227524 * 1024);
  });
  test("disk counters: sectors of 512 bytes, milliseconds busy", () => {
    expect(proc.parseDiskstats(recorded("diskstats")).find((disk) => disk.name === "vda")).toEqual({
      name: "vda",
      reads: 131357,
      readBytes: 11518762 * 512,
      writes: 38594,
      writtenBytes: 8729272 * 512,
      busyMs: 20904,
    });
  });
  test("interface counters", () => {
    const eth0 = proc.parseNetDev(recorded("net-dev")).find((each) => each.name === "eth0");
    expect(eth0).toMatchObject({
      rxBytes: 1590944511,
      rxPackets: 39130,
      txBytes: 2322961,
      txPackets: 22263,
      rxErrors: 0,
      txDrops: 0,
    });
  });
  test("default routes", () => {
    expect(proc.parseRoute(recorded("net-route"))).toMatchObject({ name: "eth0", gateway: "192.0.2.1" });
    expect(proc.parseRoute6(recorded("net-ipv6_route"))).toBe("eth0");
    expect(proc.parseRoute("Iface\tDestination\n")).toBeUndefined();
  });
  test("TCP counters, TIME-WAIT, backlog drops", () => {
    const tcp = proc.parseSnmp(recorded("net-snmp"), "Tcp");
    expect(tcp.get("OutSegs")).toBeGreaterThan(tcp.get("RetransSegs") ?? Number.NaN);
    expect(proc.parseTimeWait(recorded("net-sockstat"))).toBeGreaterThanOrEqual(0);
    expect(proc.parseSoftnetDropped("0000001a 00000003 00000000\n0000001a 0000000f 00000000\n")).toBe(18);
    expect(proc.parseSoftnetDropped(recorded("net-softnet"))).toBe(0);
  });
  test("pressure", () => expect(proc.parsePressure(recorded("pressure-cpu"))).toBeGreaterThanOrEqual(0));
  test("mounts: one local disk, no pseudo file systems", () => {
    expect(proc.parseMounts(recorded("mounts"))).toEqual([{ device: "/dev/vda", path: "/", type: "ext4" }]);
  });
});

test("mounts of a busier host: bind mounts, images, network and escaped names", () => {
  const text = [
    "overlay / overlay rw 0 0",
    "/dev/sda1 /data ext4 rw 0 0",
    "/dev/sda1 /var/bind ext4 rw 0 0",
    "/dev/sdb1 /mnt/my\\040disk xfs rw 0 0",
    "/dev/loop3 /snap/x squashfs ro 0 0",
    "overlay /var/lib/docker/overlay2/x overlay rw 0 0",
    "server:/home /home nfs4 rw 0 0",
    "tmpfs /run tmpfs rw 0 0",
  ].join("\n");
  expect(proc.parseMounts(text).map((mount) => mount.path)).toEqual(["/", "/data", "/mnt/my disk"]);
});

test("nothing is read out of nothing", () => {
  expect(proc.parseStat("")).toBeUndefined();
  expect(proc.parseLoadavg("x")).toBeUndefined();
  expect(proc.parsePressure("")).toBeUndefined();
  expect(proc.parseUptime("")).toBeUndefined();
  expect(proc.parseSoftnetDropped("")).toBeUndefined();
  expect(proc.parseDiskstats("7 0 loop0\n")).toEqual([]);
  expect(proc.parseNetDev("garbage: x y\n")).toEqual([]);
});

describe("rates", () => {
  test("growth a second; nothing from a first look, no time, or a counter that was reset", () => {
    expect(rate(100, 150, 10)).toBe(5);
    expect(rate(undefined, 150, 10)).toBeUndefined();
    expect(rate(100, 150, 0)).toBeUndefined();
    expect(rate(150, 100, 10)).toBeUndefined();
  });
  test("CPU shares: 30 busy of 100 ticks, idle and waiting are not busy", () => {
    const zero = { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0, steal: 0 };
    const now = { user: 15, nice: 5, system: 6, idle: 60, iowait: 10, irq: 1, softirq: 1, steal: 2 };
    expect(cpuShares(zero, now)).toEqual({ busy: 30, user: 20, system: 8, iowait: 10, steal: 2 });
    expect(cpuShares(undefined, now)).toBeUndefined();
    expect(cpuShares(now, now)).toBeUndefined();
    expect(cpuShares(now, zero)).toBeUndefined();
  });
});

test("processor time of ended children, with a name that holds brackets and spaces", () => {
  const stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 1 2 3 4 100 50 30 20 20 0 1 0 99";
  expect(parseChildTime(stat)).toBe(500_000);
  expect(parseChildTime("")).toBeUndefined();
});

test("the agent's own health has every metric or its reason", async () => {
  const monitor = new SelfMonitor(() => Promise.resolve(undefined));
  const sheet = await monitor.sample({ depth: 3, dropped: 1, uploadFailures: 2, skipped: 4, offset: null });
  monitor.stop();
  expect(new Set(Object.keys(sheet.metrics))).toEqual(new Set(metricsOf("agent")));
  expect(sheet.metrics).toMatchObject({
    agent_queue_depth: 3,
    agent_results_dropped: 1,
    agent_tests_skipped: 4,
    agent_clock_offset_ms: null,
  });
  expect(sheet.reasons.agent_clock_offset_ms).toBe("too_few_samples");
  expect(Number(sheet.metrics.agent_rss_bytes)).toBeGreaterThan(1e6);
});

test("host --json: every metric has a value or a reason, the figures fit together", async () => {
  const { code, stdout } = await cli(["host", "--json"]);
  expect(code).toBe(0);
  const result = JSON.parse(stdout) as {
    type: string;
    metrics: Record<string, number | null>;
    reasons: Record<string, string>;
    detail: Record<string, unknown>;
  };
  expect(result.type).toBe("host");
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("host")));
  for (const [name, value] of Object.entries(result.metrics))
    expect(value === null ? result.reasons[name] : "measured", name).toBeTypeOf("string");
  const { metrics } = result;
  expect(metrics.cpu_percent).toBeGreaterThanOrEqual(0);
  expect(metrics.cpu_percent).toBeLessThanOrEqual(100);
  expect((metrics.memory_used ?? 0) + (metrics.memory_available ?? 0)).toBe(metrics.memory_total);
  expect(metrics.uptime_s).toBeGreaterThan(0);
  expect(Array.isArray(result.detail.file_systems)).toBe(true);
});
