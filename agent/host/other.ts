// The host on macOS and Windows, through Node and systeminformation. Only calls that are cheap enough to repeat every minute;
// what they cannot tell stays null. Not tried on those systems.
import os from "node:os";
import { performance } from "node:perf_hooks";
import type { Systeminformation } from "systeminformation";
import { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import { fileSystems } from "./file-systems.ts";
import type { CpuTimes } from "./parse-proc.ts";
import { cpuShares, rate } from "./rates.ts";
import type { HostReader, HostReading } from "./reading.ts";

interface Counters {
  readonly at: number;
  readonly cpu: CpuTimes;
  readonly interfaces: readonly Systeminformation.NetworkStatsData[];
}

/** Processor time in milliseconds, summed over the cores. */
function cpuTimes(): CpuTimes {
  const cores = os.cpus().map((core) => core.times);
  const sum = (field: keyof (typeof cores)[number]) => cores.reduce((all, times) => all + times[field], 0);
  return {
    user: sum("user"),
    nice: sum("nice"),
    system: sum("sys"),
    idle: sum("idle"),
    irq: sum("irq"),
    iowait: 0,
    softirq: 0,
    steal: 0,
  };
}

const LOCAL_FS = /^(apfs|hfs\+?|ntfs|refs|fat32|exfat|vfat|ext[234]|xfs|btrfs)$/i;

export class OtherHost implements HostReader {
  #before: Counters | undefined;

  async read(): Promise<HostReading> {
    const { default: si } = await import("systeminformation");
    const at = performance.now();
    const [mem, fs, primary, stats] = await Promise.all([
      si.mem(),
      si.fsSize(),
      si.networkInterfaceDefault(),
      si.networkStats("*"),
    ]);
    const now: Counters = { at, cpu: cpuTimes(), interfaces: stats };
    const before = this.#before;
    this.#before = now;
    const sheet = new MetricSheet();
    processor(sheet, now, before);
    memory(sheet, mem);
    network(sheet, now, before, primary);
    const mounts = fs
      .filter((each) => LOCAL_FS.test(each.type))
      .map((each) => ({ device: each.fs, path: each.mount, type: each.type }));
    // Every APFS volume of a container reports the container's space: one of them is enough.
    const systems = await fileSystems(sheet, mounts);
    sheet.set("uptime_s", os.uptime(), "unsupported");
    const interfaces = stats.map((each) => ({
      name: each.iface,
      state: each.operstate,
      rx_bytes: each.rx_bytes,
      tx_bytes: each.tx_bytes,
    }));
    return { sheet, detail: { file_systems: systems, interfaces, primary_interface: primary || null } };
  }
}

const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

function processor(sheet: MetricSheet, now: Counters, before: Counters | undefined): void {
  const shares = cpuShares(before?.cpu, now.cpu);
  sheet.set("cpu_percent", rounded(shares?.busy), "too_few_samples");
  sheet.set("cpu_user_pct", rounded(shares?.user), "too_few_samples");
  sheet.set("cpu_system_pct", rounded(shares?.system), "too_few_samples");
  sheet.set("cpu_cores", os.availableParallelism(), "unsupported");
  // Windows has no load average; Node answers zeros there.
  const [one, five, fifteen] = process.platform === "win32" ? [] : os.loadavg();
  sheet.set("cpu_load_1min", rounded(one), "unsupported");
  sheet.set("cpu_load_5min", rounded(five), "unsupported");
  sheet.set("cpu_load_15min", rounded(fifteen), "unsupported");
}

function memory(sheet: MetricSheet, mem: Systeminformation.MemData): void {
  const used = mem.total - mem.available;
  sheet.set("memory_total", mem.total > 0 ? mem.total : undefined, "unsupported");
  sheet.set("memory_available", mem.total > 0 ? mem.available : undefined, "unsupported");
  sheet.set("memory_used", mem.total > 0 ? used : undefined, "unsupported");
  sheet.set("memory_percent", mem.total > 0 ? round3((100 * used) / mem.total) : undefined, "unsupported");
  sheet.set("swap_total", mem.swaptotal, "unsupported");
  sheet.set("swap_used", mem.swapused, "unsupported");
}

function network(sheet: MetricSheet, now: Counters, before: Counters | undefined, primary: string): void {
  const main = now.interfaces.find((each) => each.iface === primary);
  const old = before?.interfaces.find((each) => each.iface === primary);
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  const absent = main === undefined ? "no_route" : "unsupported";
  sheet.set("if_rx_bytes", main?.rx_bytes, absent);
  sheet.set("if_tx_bytes", main?.tx_bytes, absent);
  sheet.set("if_rx_errors", main?.rx_errors, absent);
  sheet.set("if_tx_errors", main?.tx_errors, absent);
  sheet.set("if_rx_drops", main?.rx_dropped, absent);
  sheet.set("if_tx_drops", main?.tx_dropped, absent);
  sheet.set(
    "if_rx_bytes_sec",
    rounded(rate(old?.rx_bytes, main?.rx_bytes, seconds)),
    main === undefined ? absent : "too_few_samples",
  );
  sheet.set(
    "if_tx_bytes_sec",
    rounded(rate(old?.tx_bytes, main?.tx_bytes, seconds)),
    main === undefined ? absent : "too_few_samples",
  );
}
