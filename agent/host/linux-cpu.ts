// Processors: load, shares, pressure, frequency, heat.
import { readFile } from "node:fs/promises";
import type { HostDetail } from "#contract/host-detail";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import { type HostFiles, wholeNumber } from "./linux-files.ts";
import { type CpuTimes, parseCpuMhz, parseLoadavg, parsePressure, parseStat, type Stat } from "./parse-proc.ts";
import { inTime } from "./patience.ts";
import { addedTimes, type CpuShares, coreShares, cpuShares, type Earlier, LookBefore, rate } from "./rates.ts";
import { rounded } from "./reading.ts";

/** As many cores as a sample's detail holds. */
const MOST_CORES = 256;
/** With more clock domains than this, one file about all processors is cheaper than one of each. */
const MOST_POLICIES = 16;

export class Processors {
  readonly #files: HostFiles;
  readonly #before = new LookBefore<Stat>();
  #heat: { readonly cores: string; readonly counters: readonly string[] } | undefined;

  constructor(files: HostFiles) {
    this.#files = files;
  }

  read(sheet: MetricSheet): Pick<HostDetail, "cores"> {
    const at = this.#files.now();
    const stat = parseStat(this.#files.proc("stat"));
    const before = stat === undefined ? undefined : this.#before.replace(stat, at);
    const cores = before === undefined || stat === undefined ? undefined : sharesOf(before, stat);
    activity(sheet, stat, before);
    this.#load(sheet);
    sheet.set("cpu_throttled", this.#throttled(stat), "unsupported");
    const known = stat === undefined ? new Map<string, CpuTimes>() : stat.cores;
    this.#shares(sheet, stat, before, cores);
    const names = [...known.keys()].slice(0, MOST_CORES);
    return { cores: names.map((name) => ({ name, busy_pct: rounded(cores?.get(name)?.busy) ?? null })) };
  }

  /** All processors that can be told: with one switched on or off, the kernel's own sum jumps. */
  #shares(
    sheet: MetricSheet,
    stat: Stat | undefined,
    before: Earlier<Stat> | undefined,
    cores: ReadonlyMap<string, CpuShares> | undefined,
  ): void {
    const told = [...(cores?.keys() ?? [])];
    const sum = (look: Stat) => addedTimes(told.flatMap((name) => look.cores.get(name) ?? []));
    const all =
      stat === undefined || before === undefined || told.length === 0 ? undefined : cpuShares(sum(before.look), sum(stat));
    const reason = stat === undefined ? "unsupported" : "too_few_samples";
    sheet.set("cpu_percent", rounded(all?.busy), reason);
    sheet.set("cpu_user_pct", rounded(all?.user), reason);
    sheet.set("cpu_system_pct", rounded(all?.system), reason);
    sheet.set("cpu_softirq_pct", rounded(all?.interrupts), reason);
    sheet.set("cpu_iowait_pct", rounded(all?.iowait), reason);
    sheet.set("cpu_steal_pct", rounded(all?.steal), reason);
    const busy = told.map((name) => cores?.get(name)?.busy ?? 0);
    sheet.set("cpu_core_max_pct", busy.length === 0 ? undefined : round3(Math.max(...busy)), reason);
  }

  #load(sheet: MetricSheet): void {
    const load = parseLoadavg(this.#files.proc("loadavg"));
    sheet.set("cpu_load_1min", load?.averages[0], "unsupported");
    sheet.set("cpu_load_5min", load?.averages[1], "unsupported");
    sheet.set("cpu_load_15min", load?.averages[2], "unsupported");
    sheet.set("thread_count", load?.threads, "unsupported");
    const [cpu, io, memory] = ["cpu", "io", "memory"].map((of) => parsePressure(this.#files.proc(`pressure/${of}`)));
    sheet.set("psi_cpu_some_10", cpu?.some, "unsupported");
    sheet.set("psi_io_some_10", io?.some, "unsupported");
    sheet.set("psi_mem_some_10", memory?.some, "unsupported");
    sheet.set("psi_io_full_10", io?.full, "unsupported");
    sheet.set("psi_mem_full_10", memory?.full, "unsupported");
  }

  /** Times a core or a package was slowed down by its own heat since boot (x86). */
  #throttled(stat: Stat | undefined): number | undefined {
    const names = [...(stat?.cores.keys() ?? [])];
    const cores = names.join();
    if (this.#heat?.cores !== cores) this.#heat = { cores, counters: this.#heatCounters(names) };
    const counts = this.#heat.counters.map((path) => this.#files.sysNumber(path)).filter((count) => count !== undefined);
    return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
  }

  /** Threads of one core count the same events, and so do cores of one package: each once. */
  #heatCounters(names: readonly string[]): string[] {
    const counters = new Map<string, string>();
    for (const name of names) {
      const dir = `devices/system/cpu/${name}`;
      if (!this.#files.hasSys(`${dir}/thermal_throttle`)) continue;
      const chip = this.#files.sys(`${dir}/topology/physical_package_id`);
      counters.set(`${chip}/${this.#files.sys(`${dir}/topology/core_id`)}`, `${dir}/thermal_throttle/core_throttle_count`);
      counters.set(chip, `${dir}/thermal_throttle/package_throttle_count`);
    }
    return [...counters.values()];
  }

  /**
   * Mean of the frequencies, MHz. Through promises: older kernels wait some milliseconds to measure one. A virtual machine that
   * neither governs nor measures them prints what the processor was sold as, and that is not told.
   */
  async frequency(sheet: MetricSheet): Promise<void> {
    const policies = this.#files.sysNames("devices/system/cpu/cpufreq").filter((name) => name.startsWith("policy"));
    let mhz: number | undefined;
    if (policies.length > 0 && policies.length <= MOST_POLICIES) mhz = await inTime(this.#governed(policies));
    if (mhz === undefined) {
      const text = this.#files.proc("cpuinfo");
      if (policies.length > 0 || /^flags\s*:.*\baperfmperf\b/m.test(text)) mhz = parseCpuMhz(text);
    }
    sheet.set("cpu_freq_current", rounded(mhz), "unsupported");
  }

  /** Clock domains, each counted as often as it has processors. */
  async #governed(policies: readonly string[]): Promise<number | undefined> {
    const read = (path: string) => readFile(this.#files.sysPath(`devices/system/cpu/cpufreq/${path}`), "utf8").catch(() => "");
    const domains = await Promise.all(
      policies.map(async (name) => {
        const [khz, affected] = await Promise.all([read(`${name}/scaling_cur_freq`), read(`${name}/affected_cpus`)]);
        return { khz: wholeNumber(khz), cores: affected.trim().split(/\s+/).length };
      }),
    );
    let sum = 0;
    let cores = 0;
    for (const domain of domains) {
      if (domain.khz === undefined) continue;
      sum += domain.khz * domain.cores;
      cores += domain.cores;
    }
    return cores === 0 ? undefined : sum / cores / 1000;
  }
}

const sharesOf = (before: Earlier<Stat>, now: Stat): Map<string, CpuShares> =>
  coreShares(before.look.cores, now.cores, before.seconds);

function activity(sheet: MetricSheet, now: Stat | undefined, before: Earlier<Stat> | undefined): void {
  const of = (name: "contextSwitches" | "interrupts" | "forks") =>
    rounded(rate(before?.look[name], now?.[name], before?.seconds ?? 0));
  const reason = now === undefined ? "unsupported" : "too_few_samples";
  sheet.set("cpu_cores", now?.cores.size || undefined, "unsupported");
  sheet.set("cpu_context_switches", of("contextSwitches"), reason);
  sheet.set("cpu_interrupts", of("interrupts"), reason);
  sheet.set("cpu_forks", of("forks"), reason);
  sheet.set("cpu_procs_running", now?.running, "unsupported");
  sheet.set("cpu_procs_blocked", now?.blocked, "unsupported");
}
