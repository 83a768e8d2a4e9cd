// The host's hardware as Linux shows it: sensors, power, drives, Wi-Fi, memory errors, containers and processes.
import { existsSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Drive, HostDetail, Sensor } from "#contract/host-detail";
import type { MetricSheet } from "../probes/probe.ts";
import { Containers } from "./containers.ts";
import { BusReader, namesIn, numberOf, type Roots, rootsAt } from "./hardware-files.ts";
import { hostWatts, RaplMeter, readSupplies } from "./power.ts";
import { Processes } from "./processes.ts";
import { hottestCpu, type SensorReadings, Sensors } from "./sensors.ts";
import { SmartDrives, type SmartState } from "./smart.ts";
import { askDaemons, type ClockKept, isMarked } from "./time-daemon.ts";
import { WifiWatch } from "./wifi.ts";

/** Between two rounds of what costs more or changes rarely: drives, names, what chips there are. */
const SLOW_MS = 10 * 60_000;
/** Above this share of processor time, percent, processes are looked at more often. */
const BUSY_PCT = 80;

const most = (values: readonly (number | null)[]): number | undefined => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? undefined : Math.max(...known);
};

const plain = ({ chip, label, value }: Sensor): Sensor => ({ chip: chip.slice(0, 100), label: label.slice(0, 100), value });

/** The hardware of one host. Keeps what differences and rare rounds need between samples. */
export class Hardware {
  readonly #roots: Roots;
  readonly #bus: BusReader;
  readonly #sensors: Sensors;
  readonly #rapl: RaplMeter;
  readonly #smart: SmartDrives;
  readonly #wifi: WifiWatch;
  readonly #containers: Containers;
  readonly #processes: Processes;
  /** Fans that were seen turning: one that never did may be a connector without a fan. */
  readonly #turned = new Set<string>();
  #slowAt: number | undefined;
  #clock: ClockKept = { kept: undefined, why: "unsupported" };

  constructor(roots: Roots = rootsAt(), bus = new BusReader()) {
    this.#roots = roots;
    this.#bus = bus;
    this.#sensors = new Sensors(roots, bus);
    this.#rapl = new RaplMeter(roots);
    this.#smart = new SmartDrives(roots);
    this.#wifi = new WifiWatch(roots);
    this.#containers = new Containers(roots);
    this.#processes = new Processes(roots);
  }

  /**
   * Sets the hardware metrics and answers what they consist of. Never rejects for anything the host has or lacks. With the share of
   * processor time in the sheet already, a busy host's processes are looked at more often.
   */
  async read(sheet: MetricSheet): Promise<Partial<HostDetail>> {
    const now = performance.now();
    const slow = this.#slowAt === undefined || now - this.#slowAt >= SLOW_MS - 5000;
    if (slow) await this.#slowRound(now);
    const readings = await this.#sensors.read(slow ? this.#smart.inUse : undefined);
    const smart = this.#smart.state();
    const temperatures = this.#temperatures(sheet, readings);
    const fans = this.#fans(sheet, readings);
    const power = this.#power(sheet, readings, now);
    const drives = driveMetrics(sheet, smart, readings);
    await this.#supplies(sheet);
    memoryErrors(sheet, this.#roots);
    sheet.set("reboot_required", rebootRequired(this.#roots), "unsupported");
    const wifi = await this.#wireless(sheet, slow);
    const { containers, running, why } = this.#containers.read(now);
    sheet.set("containers_running", running, why);
    sheet.set("ntp_synced", isMarked(this.#roots) || this.#clock.kept, this.#clock.why);
    const processes = await this.#busiest(sheet, now);
    const rest = processes === undefined ? {} : { processes };
    return { temperatures, fans, power, drives, wifi, containers: [...containers], ...needsOf(smart), ...rest };
  }

  async #slowRound(now: number): Promise<void> {
    this.#slowAt = now;
    this.#sensors.discover();
    const clock = async () => {
      if (!isMarked(this.#roots)) this.#clock = await askDaemons();
    };
    await Promise.all([this.#smart.round(), this.#containers.learnNames(), clock()]);
  }

  #temperatures(sheet: MetricSheet, { temperatures, why }: SensorReadings): Sensor[] {
    const hottest = hottestCpu(temperatures);
    sheet.set("cpu_temperature", hottest?.value, why.temperature);
    // The one the metric was taken from stands first.
    return [...temperatures].sort((a, b) => Number(b === hottest) - Number(a === hottest)).map(plain);
  }

  #fans(sheet: MetricSheet, { fans, why }: SensorReadings): Sensor[] {
    const name = (fan: Sensor) => `${fan.chip} ${fan.label}`;
    for (const fan of fans) if (fan.value > 0) this.#turned.add(name(fan));
    const turning = fans.filter((fan) => this.#turned.has(name(fan))).map((fan) => fan.value);
    sheet.set("fan_rpm_min", turning.length === 0 ? undefined : Math.min(...turning), why.fan);
    return fans.map(plain);
  }

  #power(sheet: MetricSheet, { power }: SensorReadings, now: number): Sensor[] {
    const rapl = this.#rapl.read(now);
    sheet.set("power_watts", hostWatts(power, rapl.power), rapl.why);
    return [...power, ...rapl.power].map(plain);
  }

  async #supplies(sheet: MetricSheet): Promise<void> {
    const { battery_pct, on_ac, why } = await readSupplies(this.#roots, this.#bus);
    sheet.set("battery_pct", battery_pct, why);
    sheet.set("on_ac", on_ac, why);
  }

  async #wireless(sheet: MetricSheet, afresh: boolean): Promise<HostDetail["wifi"]> {
    const { wifi, retries_pct, why, whyRetries } = await this.#wifi.read(afresh);
    const [first] = wifi;
    sheet.set("wifi_ssid", first?.ssid, why);
    sheet.set("wifi_rssi_dbm", first?.rssi_dbm, why);
    sheet.set("wifi_freq_mhz", first?.freq_mhz, why);
    sheet.set("wifi_tx_mbps", first?.tx_mbps, why);
    sheet.set("wifi_rx_mbps", first?.rx_mbps, why);
    sheet.set("wifi_tx_retries_pct", retries_pct, whyRetries);
    return [...wifi];
  }

  async #busiest(sheet: MetricSheet, now: number): Promise<HostDetail["processes"]> {
    const busy = Number(sheet.metrics.cpu_percent ?? 0) > BUSY_PCT;
    return this.#processes.due(now, busy) ? this.#processes.look(now) : undefined;
  }
}

/** The figures of all drives as their worst ones; temperatures from the kernel where it has them, else from SMART. */
function driveMetrics(
  sheet: MetricSheet,
  { drives, why }: SmartState,
  { temperatures, why: whySensors }: SensorReadings,
): Drive[] {
  const rows = drives.map((drive) => ({
    ...drive,
    temperature_c:
      most(temperatures.filter((each) => each.drive === drive.name).map((each) => each.value)) ?? drive.temperature_c,
  }));
  const column = (name: "temperature_c" | "reallocated" | "pending" | "percent_used" | "power_on_hours") =>
    most(rows.map((row) => row[name]));
  const verdicts = rows.map((row) => row.passed).filter((passed) => passed !== null);
  const only = (kind: RegExp) => (rows.some((row) => kind.test(row.name)) ? why : "not_applicable");
  const whyTemperature = whySensors.temperature === "timeout" ? "timeout" : why;
  sheet.set("disk_temperature", column("temperature_c"), whyTemperature);
  sheet.set("smart_passed", verdicts.length === 0 ? undefined : !verdicts.includes(false), why);
  sheet.set("smart_reallocated", column("reallocated"), only(/^[hs]d/));
  sheet.set("smart_pending", column("pending"), only(/^[hs]d/));
  sheet.set("nvme_percent_used", column("percent_used"), only(/^nvme/));
  sheet.set("drive_power_on_hours", column("power_on_hours"), why);
  return rows;
}

/** What only the drives know to be missing. */
function needsOf({ asleep }: SmartState): Pick<HostDetail, "needs"> {
  if (asleep.length === 0) return {};
  return { needs: { disk_temperature: `not asked, so that they may sleep: ${asleep.slice(0, 8).join(", ")}` } };
}

/** Error counters of every memory controller that has them (kernel documentation, driver-api/edac.rst). */
function memoryErrors(sheet: MetricSheet, roots: Roots): void {
  const base = `${roots.sys}/devices/system/edac/mc`;
  const controllers = (namesIn(base) ?? []).filter((name) => /^mc\d+$/.test(name));
  const sum = (file: string) => {
    const counts = controllers.map((name) => numberOf(`${base}/${name}/${file}`)).filter((count) => count !== undefined);
    return counts.length === 0 ? undefined : counts.reduce((all, count) => all + count, 0);
  };
  sheet.set("edac_ce", sum("ce_count"), "unsupported");
  sheet.set("edac_ue", sum("ue_count"), "unsupported");
}

/** What writes the marker file on the systems that have one; without it, its absence says nothing. */
const MARKERS = [
  "/usr/share/update-notifier/notify-reboot-required",
  "/etc/kernel/postinst.d/unattended-upgrades",
  "/etc/kernel/postinst.d/update-notifier",
];

function rebootRequired({ run, top }: Roots): boolean | undefined {
  if (existsSync(`${run}/reboot-required`) || existsSync(`${top}/var/run/reboot-required`)) return true;
  return MARKERS.some((path) => existsSync(top + path)) ? false : undefined;
}

const here = new Hardware();

/** Sets the hardware metrics of this host and answers what they consist of. Linux only. */
export const hardware = (sheet: MetricSheet): Promise<Partial<HostDetail>> => here.read(sheet);
