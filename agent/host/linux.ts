// The Linux host, from /proc and /sys directly: about a millisecond a look and no child processes.
import { readdir, readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import { fileSystems } from "./file-systems.ts";
import * as proc from "./parse-proc.ts";
import { cpuShares, rate } from "./rates.ts";
import type { HostReader, HostReading } from "./reading.ts";

const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
const readNumber = async (path: string): Promise<number | undefined> => {
  const text = (await read(path)).trim();
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
};
const list = (path: string): Promise<string[]> => readdir(path).catch(() => []);

/** Everything that only makes sense as a difference to the look before. */
interface Counters {
  readonly at: number;
  readonly stat: proc.Stat | undefined;
  readonly disks: readonly proc.DiskCounters[];
  readonly interfaces: readonly proc.InterfaceCounters[];
  readonly tcp: ReadonlyMap<string, number>;
}

/** Whole physical disks: those with a device behind them; partitions, loop, RAM and mapped devices would count twice. */
async function physicalDisks(): Promise<Set<string>> {
  const names = await list("/sys/block");
  const found = await Promise.all(names.map(async (name) => ((await list(`/sys/block/${name}/device`)).length > 0 ? name : "")));
  return new Set(found.filter((name) => name !== ""));
}

async function readCounters(): Promise<Counters> {
  const at = performance.now();
  const [stat, disks, interfaces, snmp, physical] = await Promise.all([
    read("/proc/stat"),
    read("/proc/diskstats"),
    read("/proc/net/dev"),
    read("/proc/net/snmp"),
    physicalDisks(),
  ]);
  return {
    at,
    stat: proc.parseStat(stat),
    disks: proc.parseDiskstats(disks).filter((disk) => physical.has(disk.name)),
    interfaces: proc.parseNetDev(interfaces).filter((each) => each.name !== "lo"),
    tcp: proc.parseSnmp(snmp, "Tcp"),
  };
}

export class LinuxHost implements HostReader {
  #before: Counters | undefined;

  async read(): Promise<HostReading> {
    const now = await readCounters();
    const before = this.#before;
    this.#before = now;
    const sheet = new MetricSheet();
    processor(sheet, now, before);
    const [, network, fs] = await Promise.all([
      processorExtras(sheet),
      interfaces(sheet, now, before),
      fileSystems(sheet, proc.parseMounts(await read("/proc/self/mounts"))),
      memory(sheet),
      system(sheet),
    ]);
    const disks = diskRates(sheet, now, before);
    tcp(sheet, now, before);
    return { sheet, detail: { file_systems: fs, ...network, disks } };
  }
}

const elapsed = (now: Counters, before: Counters | undefined): number => (before === undefined ? 0 : (now.at - before.at) / 1000);
const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

function processor(sheet: MetricSheet, now: Counters, before: Counters | undefined): void {
  const shares = cpuShares(before?.stat?.cpu, now.stat?.cpu);
  sheet.set("cpu_percent", rounded(shares?.busy), "too_few_samples");
  sheet.set("cpu_user_pct", rounded(shares?.user), "too_few_samples");
  sheet.set("cpu_system_pct", rounded(shares?.system), "too_few_samples");
  sheet.set("cpu_iowait_pct", rounded(shares?.iowait), "too_few_samples");
  sheet.set("cpu_steal_pct", rounded(shares?.steal), "too_few_samples");
  sheet.set("cpu_cores", now.stat?.cores, "unsupported");
  const seconds = elapsed(now, before);
  const switches = rate(before?.stat?.contextSwitches, now.stat?.contextSwitches, seconds);
  sheet.set("cpu_context_switches", rounded(switches), "too_few_samples");
  sheet.set("cpu_interrupts", rounded(rate(before?.stat?.interrupts, now.stat?.interrupts, seconds)), "too_few_samples");
}

async function frequency(): Promise<number | undefined> {
  const cores = (await list("/sys/devices/system/cpu")).filter((name) => /^cpu\d+$/.test(name));
  const kilohertz = await Promise.all(
    cores.map((name) => readNumber(`/sys/devices/system/cpu/${name}/cpufreq/scaling_cur_freq`)),
  );
  const known = kilohertz.filter((value) => value !== undefined);
  if (known.length > 0) return known.reduce((sum, value) => sum + value, 0) / known.length / 1000;
  return proc.parseCpuMhz(await read("/proc/cpuinfo"));
}

const CPU_SENSORS = /^(coretemp|k10temp|zenpower|cpu_thermal|cpu-thermal|x86_pkg_temp|soc_thermal)$/;

/** The hottest processor sensor, °C. */
async function temperature(): Promise<number | undefined> {
  const monitors = await list("/sys/class/hwmon");
  const zones = (await list("/sys/class/thermal")).filter((name) => name.startsWith("thermal_zone"));
  const fromMonitors = monitors.map(async (name) => {
    const dir = `/sys/class/hwmon/${name}`;
    if (!CPU_SENSORS.test((await read(`${dir}/name`)).trim())) return [];
    const inputs = (await list(dir)).filter((file) => /^temp\d+_input$/.test(file));
    return Promise.all(inputs.map((file) => readNumber(`${dir}/${file}`)));
  });
  const fromZones = zones.map(async (name) => {
    const dir = `/sys/class/thermal/${name}`;
    return CPU_SENSORS.test((await read(`${dir}/type`)).trim()) ? [await readNumber(`${dir}/temp`)] : [];
  });
  const values = (await Promise.all([...fromMonitors, ...fromZones])).flat().filter((value) => value !== undefined);
  return values.length === 0 ? undefined : Math.max(...values) / 1000;
}

async function processorExtras(sheet: MetricSheet): Promise<void> {
  const [load, cpu, io, mem, mhz, celsius] = await Promise.all([
    read("/proc/loadavg"),
    read("/proc/pressure/cpu"),
    read("/proc/pressure/io"),
    read("/proc/pressure/memory"),
    frequency(),
    temperature(),
  ]);
  const loads = proc.parseLoadavg(load);
  sheet.set("cpu_load_1min", loads?.[0], "unsupported");
  sheet.set("cpu_load_5min", loads?.[1], "unsupported");
  sheet.set("cpu_load_15min", loads?.[2], "unsupported");
  sheet.set("psi_cpu_some_10", proc.parsePressure(cpu), "unsupported");
  sheet.set("psi_io_some_10", proc.parsePressure(io), "unsupported");
  sheet.set("psi_mem_some_10", proc.parsePressure(mem), "unsupported");
  sheet.set("cpu_freq_current", rounded(mhz), "unsupported");
  sheet.set("cpu_temperature", rounded(celsius), "unsupported");
}

async function memory(sheet: MetricSheet): Promise<void> {
  const values = proc.parseMeminfo(await read("/proc/meminfo"));
  const total = values.get("MemTotal");
  const available = values.get("MemAvailable");
  const used = total !== undefined && available !== undefined ? total - available : undefined;
  const cached = values.get("Cached");
  const swapTotal = values.get("SwapTotal");
  const swapFree = values.get("SwapFree");
  sheet.set("memory_total", total, "unsupported");
  sheet.set("memory_available", available, "unsupported");
  sheet.set("memory_used", used, "unsupported");
  sheet.set("memory_percent", used !== undefined && total ? round3((100 * used) / total) : undefined, "unsupported");
  sheet.set("memory_cached", cached === undefined ? undefined : cached + (values.get("SReclaimable") ?? 0), "unsupported");
  sheet.set("memory_buffers", values.get("Buffers"), "unsupported");
  sheet.set("swap_total", swapTotal, "unsupported");
  sheet.set("swap_used", swapTotal === undefined || swapFree === undefined ? undefined : swapTotal - swapFree, "unsupported");
}

function diskRates(sheet: MetricSheet, now: Counters, before: Counters | undefined): unknown[] {
  const seconds = elapsed(now, before);
  const disks = now.disks.map((disk) => {
    const old = before?.disks.find((each) => each.name === disk.name);
    const busy = rate(old?.busyMs, disk.busyMs, seconds);
    return {
      name: disk.name,
      read_iops: rate(old?.reads, disk.reads, seconds),
      write_iops: rate(old?.writes, disk.writes, seconds),
      read_bytes_sec: rate(old?.readBytes, disk.readBytes, seconds),
      write_bytes_sec: rate(old?.writtenBytes, disk.writtenBytes, seconds),
      util_pct: busy === undefined ? undefined : Math.min(100, busy / 10),
    };
  });
  type Column = "read_iops" | "write_iops" | "read_bytes_sec" | "write_bytes_sec" | "util_pct";
  const column = (name: Column) => disks.map((disk) => disk[name]).filter((value) => value !== undefined);
  const sum = (name: Column) =>
    column(name).length === 0 ? undefined : round3(column(name).reduce((all, value) => all + value, 0));
  const reason = now.disks.length === 0 ? "unsupported" : "too_few_samples";
  sheet.set("disk_read_iops", sum("read_iops"), reason);
  sheet.set("disk_write_iops", sum("write_iops"), reason);
  sheet.set("disk_read_bytes_sec", sum("read_bytes_sec"), reason);
  sheet.set("disk_write_bytes_sec", sum("write_bytes_sec"), reason);
  sheet.set("disk_io_util", column("util_pct").length === 0 ? undefined : round3(Math.max(...column("util_pct"))), reason);
  return disks.map((disk) =>
    Object.fromEntries(
      Object.entries(disk).map(([key, value]) => [key, typeof value === "number" ? round3(value) : (value ?? null)]),
    ),
  );
}

async function interfaces(sheet: MetricSheet, now: Counters, before: Counters | undefined): Promise<Record<string, unknown>> {
  const seconds = elapsed(now, before);
  const route = proc.parseRoute(await read("/proc/net/route"));
  const primary = route?.name ?? proc.parseRoute6(await read("/proc/net/ipv6_route"));
  const rows = await Promise.all(
    now.interfaces.map(async (each) => {
      const old = before?.interfaces.find((other) => other.name === each.name);
      const [speed, mtu, state] = await Promise.all([
        readNumber(`/sys/class/net/${each.name}/speed`),
        readNumber(`/sys/class/net/${each.name}/mtu`),
        read(`/sys/class/net/${each.name}/operstate`),
      ]);
      return {
        ...each,
        rxRate: rate(old?.rxBytes, each.rxBytes, seconds),
        txRate: rate(old?.txBytes, each.txBytes, seconds),
        // Virtual links say -1, links that are down say nothing.
        speed: speed !== undefined && speed > 0 ? speed : undefined,
        mtu,
        state: state.trim(),
      };
    }),
  );
  const main = rows.find((row) => row.name === primary);
  const absent = primary === undefined ? "no_route" : "unsupported";
  sheet.set("if_rx_bytes", main?.rxBytes, absent);
  sheet.set("if_tx_bytes", main?.txBytes, absent);
  sheet.set("if_rx_packets", main?.rxPackets, absent);
  sheet.set("if_tx_packets", main?.txPackets, absent);
  sheet.set("if_rx_errors", main?.rxErrors, absent);
  sheet.set("if_tx_errors", main?.txErrors, absent);
  sheet.set("if_rx_drops", main?.rxDrops, absent);
  sheet.set("if_tx_drops", main?.txDrops, absent);
  sheet.set("if_rx_bytes_sec", rounded(main?.rxRate), main === undefined ? absent : "too_few_samples");
  sheet.set("if_tx_bytes_sec", rounded(main?.txRate), main === undefined ? absent : "too_few_samples");
  sheet.set("if_speed_mbps", main?.speed, absent);
  sheet.set("if_mtu", main?.mtu, absent);
  const table = rows.map((row) => ({
    name: row.name,
    state: row.state,
    mtu: row.mtu ?? null,
    speed_mbps: row.speed ?? null,
    rx_bytes: row.rxBytes,
    tx_bytes: row.txBytes,
    rx_bytes_sec: rounded(row.rxRate) ?? null,
    tx_bytes_sec: rounded(row.txRate) ?? null,
    rx_errors: row.rxErrors,
    tx_errors: row.txErrors,
    rx_drops: row.rxDrops,
    tx_drops: row.txDrops,
  }));
  return { interfaces: table, primary_interface: primary ?? null, default_gateway: route?.gateway ?? null };
}

function tcp(sheet: MetricSheet, now: Counters, before: Counters | undefined): void {
  const grown = (name: string) => rate(before?.tcp.get(name), now.tcp.get(name), 1);
  const sent = grown("OutSegs");
  const again = grown("RetransSegs");
  sheet.set("tcp_established", now.tcp.get("CurrEstab"), "unsupported");
  const share = sent !== undefined && again !== undefined && sent > 0 ? Math.min(100, (100 * again) / sent) : undefined;
  sheet.set("host_tcp_retrans_pct", rounded(share), "too_few_samples");
}

async function system(sheet: MetricSheet): Promise<void> {
  const [sockstat, softnet, files, uptime, tracked, trackable, processes] = await Promise.all([
    read("/proc/net/sockstat"),
    read("/proc/net/softnet_stat"),
    read("/proc/sys/fs/file-nr"),
    read("/proc/uptime"),
    readNumber("/proc/sys/net/netfilter/nf_conntrack_count"),
    readNumber("/proc/sys/net/netfilter/nf_conntrack_max"),
    list("/proc"),
  ]);
  sheet.set("tcp_time_wait", proc.parseTimeWait(sockstat), "unsupported");
  sheet.set("softnet_dropped", proc.parseSoftnetDropped(softnet), "unsupported");
  sheet.set("open_files", proc.parseFileNr(files), "unsupported");
  sheet.set("uptime_s", proc.parseUptime(uptime), "unsupported");
  const conntrack = tracked !== undefined && trackable ? round3((100 * tracked) / trackable) : undefined;
  sheet.set("conntrack_used_pct", conntrack, "unsupported");
  const count = processes.filter((name) => /^\d+$/.test(name)).length;
  sheet.set("process_count", count > 0 ? count : undefined, "no_permission");
}
