// The figures that matter most, against an independent reading of the same moment: other programs where they are installed,
// else files read here. Other work on the machine is the reason for the tolerances.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MetricName } from "#contract/metrics";
import { LinuxHost } from "../../agent/host/linux.ts";

const MIB = 1024 * 1024;
const has = (tool: string) => ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].some((dir) => existsSync(`${dir}/${tool}`));
const output = (file: string, ...args: string[]) =>
  execFileSync(file, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });

async function look(host: LinuxHost) {
  const { sheet, detail } = await host.read();
  const figure = (name: MetricName): number => {
    const value = sheet.metrics[name];
    if (typeof value !== "number") throw new Error(`${name} is ${String(value)}: ${sheet.reasons[name] ?? "no reason"}`);
    return value;
  };
  return { figure, detail, metrics: sheet.metrics };
}

/** Within a share of the other reading, or within a fixed amount. */
function near(ours: number, theirs: number, share: number, least: number, name: string): void {
  expect(Math.abs(ours - theirs), `${name}: ${ours} against ${theirs}`).toBeLessThanOrEqual(Math.max(share * theirs, least));
}

describe.skipIf(process.platform !== "linux")("this host against other readings", () => {
  const now = async () => look(new LinuxHost());

  test("memory and swap: free -b (total exact, the rest within 5 % of it)", async () => {
    const { figure } = await now();
    const [memory, swap] = ["Mem", "Swap"].map((row) => {
      const line = new RegExp(`^${row}: +(.+)$`, "m").exec(output("free", "-b"))?.[1] ?? "";
      return line.split(/ +/).map(Number);
    });
    const [total = Number.NaN, , , , , available = Number.NaN] = memory ?? [];
    const [swapTotal = Number.NaN, swapUsed = Number.NaN] = swap ?? [];
    expect(figure("memory_total")).toBe(total);
    near(figure("memory_available"), available, 0, total * 0.05, "available");
    near(figure("memory_used"), total - available, 0, total * 0.05, "used");
    near(figure("memory_percent"), (100 * (total - available)) / total, 0, 5, "percent");
    expect(figure("swap_total")).toBe(swapTotal);
    near(figure("swap_used"), swapUsed, 0.05, 64 * MIB, "swap used");
  });

  test("space of every file system and of the fullest: df (size exact, used within 256 MiB, percent within one)", async () => {
    const { figure, detail } = await now();
    const systems = detail.file_systems ?? [];
    expect(systems.length).toBeGreaterThan(0);
    for (const fs of systems) {
      const [size = Number.NaN, used = Number.NaN, percent = Number.NaN, inodes = Number.NaN] = (
        output("df", "-B1", "--output=size,used,pcent,ipcent", fs.mount).split("\n")[1] ?? ""
      )
        .trim()
        .split(/\s+/)
        .map((text) => Number.parseInt(text, 10));
      expect(fs.total_bytes, fs.mount).toBe(size);
      near(fs.used_bytes, used, 0, 256 * MIB, fs.mount);
      near(fs.used_pct, percent, 0, 1.1, fs.mount);
      if (fs.inodes_used_pct !== null) near(fs.inodes_used_pct, inodes, 0, 1.1, `${fs.mount} inodes`);
    }
    const fullest = systems.find((fs) => fs.used_pct === Math.max(...systems.map((each) => each.used_pct)));
    expect(figure("fs_used_pct")).toBe(fullest?.used_pct);
    expect(figure("fs_used_bytes")).toBe(fullest?.used_bytes);
    expect(figure("fs_total_bytes")).toBe(fullest?.total_bytes);
  });

  test("load, uptime, processors: uptime, /proc/uptime, the kernel's list of processors", async () => {
    const { figure } = await now();
    const loads = /load average: ([\d.]+), ([\d.]+), ([\d.]+)/.exec(output("uptime"))?.slice(1).map(Number) ?? [];
    expect(loads).toHaveLength(3);
    for (const [i, name] of (["cpu_load_1min", "cpu_load_5min", "cpu_load_15min"] as const).entries())
      near(figure(name), loads[i] ?? Number.NaN, 0, 0.3, name);
    near(figure("uptime_s"), Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]), 0, 0.5, "uptime");
    const online = readFileSync("/sys/devices/system/cpu/online", "utf8").trim().split(",");
    const ranges = online.map((range) => range.split("-").map(Number));
    expect(figure("cpu_cores")).toBe(ranges.reduce((sum, [from = 0, to = from]) => sum + to - from + 1, 0));
  });

  test("processes and threads: ps (a tenth, or 15: other work comes and goes)", async () => {
    const { figure } = await now();
    near(figure("process_count"), output("ps", "-e", "-o", "pid=").trim().split("\n").length, 0.1, 15, "processes");
    near(figure("thread_count"), output("ps", "-eL", "-o", "lwp=").trim().split("\n").length, 0.15, 60, "threads");
  });

  test("processor: /proc/stat read around the two looks (five points)", async () => {
    const ticks = () => (/^cpu +(.+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? "").split(" ").map(Number);
    const host = new LinuxHost();
    const before = ticks();
    await look(host);
    const until = performance.now() + 300;
    while (performance.now() < until) Math.sqrt(until);
    await sleep(600);
    const { figure } = await look(host);
    const after = ticks();
    const grown = after.slice(0, 8).map((tick, i) => tick - (before[i] ?? 0));
    const all = grown.reduce((sum, tick) => sum + tick, 0);
    const share = (...fields: number[]) => (100 * fields.reduce((sum, i) => sum + (grown[i] ?? 0), 0)) / all;
    near(figure("cpu_percent"), 100 - share(3, 4), 0, 5, "busy");
    near(figure("cpu_user_pct"), share(0, 1), 0, 5, "user");
    near(figure("cpu_system_pct"), share(2, 5, 6), 0, 5, "kernel");
    near(figure("cpu_iowait_pct"), share(4), 0, 5, "waiting");
    near(figure("cpu_steal_pct"), share(7), 0, 5, "stolen");
    expect(figure("cpu_core_max_pct")).toBeGreaterThanOrEqual(figure("cpu_percent") - 0.1);
  });

  test.skipIf(!has("ss"))("connections: the test's own thirty and ss (12, for those of other programs)", async () => {
    const held: Socket[] = [];
    const server = createServer((socket) => held.push(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const host = new LinuxHost();
    const before = await look(host);
    await sleep(120);
    const clients = Array.from({ length: 30 }, () => connect(port, "127.0.0.1"));
    await Promise.all(clients.map((client) => once(client, "connect")));
    while (held.length < 30) await once(server, "connection");
    const { figure } = await look(host);
    const states = output("ss", "-Htan").split("\n");
    const open = states.filter((line) => /^(ESTAB|CLOSE-WAIT)/.test(line)).length;
    near(figure("tcp_established"), open, 0, 12, "established");
    near(figure("tcp_established"), before.figure("tcp_established") + 60, 0, 20, "both ends of thirty");
    near(figure("tcp_time_wait"), states.filter((line) => line.startsWith("TIME-WAIT")).length, 0.2, 30, "time-wait");
    // Thirty within a few seconds at the most.
    expect(figure("tcp_opens_sec")).toBeGreaterThan(5);
    expect(figure("tcp_accepts_sec")).toBeGreaterThan(5);
    for (const socket of [...clients, ...held]) socket.destroy();
    server.close();
  });
});

const NOT_DISKS = /^(loop|ram|zram|dm-|md|sr|fd|nbd)/;
const physical =
  process.platform === "linux"
    ? readdirSync("/sys/block").filter((name) => !NOT_DISKS.test(name) && existsSync(`/sys/block/${name}/device`))
    : [];

describe.skipIf(physical.length === 0)("disks while this test writes and reads (needs a disk)", () => {
  const dir = fileURLToPath(new URL("../../node_modules/.cache", import.meta.url));
  let place = "";
  beforeAll(() => {
    mkdirSync(dir, { recursive: true });
    place = mkdtempSync(`${dir}/host-disks-`);
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  /** Sums over the disks: reads, sectors read, writes, sectors written; and each one's busy time. */
  function counters() {
    const rows = readFileSync("/proc/diskstats", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => physical.includes(fields[2] ?? ""));
    const sum = (column: number) => rows.reduce((all, fields) => all + Number(fields[column]), 0);
    return {
      at: performance.now(),
      reads: sum(3),
      read: sum(5),
      writes: sum(7),
      written: sum(9),
      busy: rows.map((row) => Number(row[12])),
    };
  }

  test("rates and busy time: /proc/diskstats read around the two looks (15 %), and iostat where it is", async () => {
    const host = new LinuxHost();
    const before = counters();
    await look(host);
    const iostat = has("iostat")
      ? spawn("iostat", ["-d", "-k", "-y", "-o", "JSON", "1", "1"], { env: { ...process.env, LC_ALL: "C" } })
      : undefined;
    let told = "";
    iostat?.stdout.on("data", (chunk: Buffer) => {
      told += chunk.toString();
    });
    const file = openSync(`${place}/data`, "w");
    const chunk = Buffer.alloc(512 * 1024, 7);
    const until = performance.now() + 1050;
    while (performance.now() < until) {
      writeSync(file, chunk);
      fsyncSync(file);
      await sleep(25);
    }
    closeSync(file);
    const { figure, detail } = await look(host);
    const after = counters();
    const seconds = (after.at - before.at) / 1000;
    expect(figure("disk_write_bytes_sec")).toBeGreaterThan(MIB);
    near(figure("disk_write_bytes_sec"), ((after.written - before.written) * 512) / seconds, 0.15, MIB, "written");
    near(figure("disk_write_iops"), (after.writes - before.writes) / seconds, 0.15, 10, "writes");
    near(figure("disk_read_bytes_sec"), ((after.read - before.read) * 512) / seconds, 0.15, MIB, "read");
    near(figure("disk_read_iops"), (after.reads - before.reads) / seconds, 0.15, 10, "reads");
    const busiest = Math.max(...after.busy.map((busy, i) => (100 * (busy - (before.busy[i] ?? 0))) / (seconds * 1000)));
    near(figure("disk_io_util"), Math.min(100, busiest), 0.15, 5, "busy");
    expect(figure("disk_write_await_ms")).toBeGreaterThan(0);
    expect(detail.disks?.map((disk) => disk.name)).toEqual(expect.arrayContaining(physical));
    if (iostat === undefined) return;
    if (iostat.exitCode === null) await once(iostat, "close");
    type Iostat = { sysstat: { hosts: { statistics: { disk: { disk_device: string; "kB_wrtn/s": number }[] }[] }[] } };
    const rows = (JSON.parse(told) as Iostat).sysstat.hosts[0]?.statistics[0]?.disk ?? [];
    const written = rows
      .filter((row) => physical.includes(row.disk_device))
      .reduce((sum, row) => sum + row["kB_wrtn/s"] * 1024, 0);
    near(figure("disk_write_bytes_sec"), written, 0.35, 2 * MIB, "iostat");
  });

  test("reads past the cache: the bytes of dd are in the rate", async () => {
    const file = openSync(`${place}/read`, "w");
    writeSync(file, Buffer.alloc(16 * MIB, 5));
    fsyncSync(file);
    closeSync(file);
    const host = new LinuxHost();
    await look(host);
    const start = performance.now();
    output("dd", `if=${place}/read`, "of=/dev/null", "bs=1M", "iflag=direct", "status=none");
    await sleep(Math.max(0, 300 - (performance.now() - start)));
    const { figure } = await look(host);
    const seconds = (performance.now() - start) / 1000;
    expect(figure("disk_read_bytes_sec") * seconds).toBeGreaterThan(15 * MIB);
    expect(figure("disk_read_await_ms")).toBeGreaterThan(0);
  });
});
