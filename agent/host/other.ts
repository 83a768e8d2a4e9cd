// The host on macOS and Windows, through Node and systeminformation. Every minute only what Node itself tells and the counters of
// the primary interface; the rest rarely (other-slow.ts), what nobody tells stays null. Not tried on those systems.
import os from "node:os";
import { performance } from "node:perf_hooks";
import type { Systeminformation } from "systeminformation";
import { type HostDetail, interfaceSchema } from "#contract/host-detail";
import { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import { FileSystems } from "./file-systems.ts";
import { SlowRound } from "./other-slow.ts";
import type { CpuTimes } from "./parse-proc.ts";
import { addedTimes, cpuShares, rate } from "./rates.ts";
import { type HostReader, type HostReading, rounded } from "./reading.ts";

interface Counters {
  readonly at: number;
  readonly cores: readonly CpuTimes[];
  readonly primary: Systeminformation.NetworkStatsData | undefined;
}

/** Processor time of each core, milliseconds. */
const coreTimes = (): CpuTimes[] =>
  os.cpus().map(({ times: { user, nice, sys, idle, irq } }) => ({
    ...{ user, nice, system: sys, idle, irq },
    ...{ iowait: 0, softirq: 0, steal: 0 },
  }));

export class OtherHost implements HostReader {
  readonly #fileSystems = new FileSystems();
  readonly #slow = new SlowRound();
  #before: Counters | undefined;

  async read(): Promise<HostReading> {
    const { default: si } = await import("systeminformation");
    const sheet = new MetricSheet();
    const at = performance.now();
    const cores = coreTimes();
    const { facts, detail } = await this.#slow.read(si, sheet, at);
    const stats = facts.primary === "" ? [] : await si.networkStats(facts.primary);
    const now: Counters = { at, cores, primary: stats.find((each) => each.iface === facts.primary) };
    const before = this.#before;
    this.#before = now;
    const busy = processor(sheet, now, before);
    await memory(sheet, si);
    network(sheet, now, before);
    const file_systems = await this.#fileSystems.read(sheet, facts.mounts);
    sheet.set("uptime_s", os.uptime(), "unsupported");
    const interfaces = stats.map((each) => interfaceSchema.parse({ ...each, name: each.iface, state: each.operstate }));
    return { sheet, detail: { ...busy, file_systems, interfaces, primary_interface: facts.primary || null, ...detail } };
  }
}

function processor(sheet: MetricSheet, now: Counters, before: Counters | undefined): Pick<HostDetail, "cores"> {
  const shares = before === undefined ? undefined : cpuShares(addedTimes(before.cores), addedTimes(now.cores));
  sheet.set("cpu_percent", rounded(shares?.busy), "too_few_samples");
  sheet.set("cpu_user_pct", rounded(shares?.user), "too_few_samples");
  sheet.set("cpu_system_pct", rounded(shares?.system), "too_few_samples");
  const each = now.cores.map((times, i) => rounded(cpuShares(before?.cores[i], times)?.busy));
  const known = each.filter((share) => share !== undefined);
  sheet.set("cpu_core_max_pct", known.length === 0 ? undefined : Math.max(...known), "too_few_samples");
  sheet.set("cpu_cores", os.availableParallelism(), "unsupported");
  // Windows has no load average; Node answers zeros there.
  const [one, five, fifteen] = process.platform === "win32" ? [] : os.loadavg();
  sheet.set("cpu_load_1min", rounded(one), "unsupported");
  sheet.set("cpu_load_5min", rounded(five), "unsupported");
  sheet.set("cpu_load_15min", rounded(fifteen), "unsupported");
  return { cores: each.map((share, i) => ({ name: `cpu${i}`, busy_pct: share ?? null })) };
}

/** Windows tells Node what is available; macOS counts its caches as used, so vm_stat is asked there (two small programs). */
async function memory(sheet: MetricSheet, si: typeof import("systeminformation")): Promise<void> {
  const mem = process.platform === "win32" ? undefined : await si.mem();
  const total = mem?.total ?? os.totalmem();
  const available = mem?.available ?? os.freemem();
  const used = total - available;
  sheet.set("memory_total", total > 0 ? total : undefined, "unsupported");
  sheet.set("memory_available", total > 0 ? available : undefined, "unsupported");
  sheet.set("memory_used", total > 0 ? used : undefined, "unsupported");
  sheet.set("memory_percent", total > 0 ? round3((100 * used) / total) : undefined, "unsupported");
  sheet.set("swap_total", mem?.swaptotal, "unsupported");
  sheet.set("swap_used", mem?.swapused, "unsupported");
}

const COUNTERS = [
  ["if_rx_bytes", "if_rx_bytes_sec", "rx_bytes"],
  ["if_tx_bytes", "if_tx_bytes_sec", "tx_bytes"],
  ["if_rx_errors", "if_rx_errors_sec", "rx_errors"],
  ["if_tx_errors", "if_tx_errors_sec", "tx_errors"],
  ["if_rx_drops", "if_rx_drops_sec", "rx_dropped"],
  ["if_tx_drops", "if_tx_drops_sec", "tx_dropped"],
] as const;

function network(sheet: MetricSheet, now: Counters, before: Counters | undefined): void {
  const old = before?.primary?.iface === now.primary?.iface ? before?.primary : undefined;
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  const absent = now.primary === undefined ? "no_route" : "unsupported";
  for (const [total, speed, field] of COUNTERS) {
    const count = now.primary?.[field] ?? undefined;
    sheet.set(total, count, absent);
    sheet.set(speed, rounded(rate(old?.[field], count, seconds)), count === undefined ? absent : "too_few_samples");
  }
}
