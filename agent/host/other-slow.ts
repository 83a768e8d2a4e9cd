// What macOS and Windows tell only at a price, through systeminformation: each call starts programs there. Asked every ten minutes,
// the dearest ones once an hour. What may have changed meanwhile is not repeated. Not tried on those systems.
import type { Systeminformation } from "systeminformation";
import type { HostDetail, Process } from "#contract/host-detail";
import type { MetricName } from "#contract/metrics";
import { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { Mount } from "./parse-disks.ts";

type Si = typeof import("systeminformation");

const SLOW_MS = 10 * 60_000;
const HOUR_MS = 60 * 60_000;
/** Samples come a little early at times. */
const EARLY_MS = 5000;
const SHOWN = 5;

const LOCAL_FS = /^(apfs|hfs\+?|ntfs|refs|fat32|exfat|vfat|ext[234]|xfs|btrfs)$/i;

/** What holds until it is asked for again. */
export interface SlowFacts {
  readonly mounts: readonly Mount[];
  /** The interface of the default route; empty where there is none. */
  readonly primary: string;
  readonly link: Systeminformation.NetworkInterfacesData | undefined;
}

/** What changes is as good as new for so long, and missing from then on until the next round. */
const FRESH_MS = 30_000;

const OFTEN = ["battery_pct", "on_ac", "open_files", "open_files_pct"] as const;
const RARE = ["wifi_ssid", "wifi_rssi_dbm", "wifi_freq_mhz", "wifi_tx_mbps", "process_count"] as const;

/** What one round asked for, and when. */
interface Asked {
  readonly at: number;
  readonly sheet: MetricSheet;
  readonly detail: Partial<HostDetail>;
}

/** Hands on what a round found; a figure it has no longer waits for the next, one it never had keeps its reason. */
function hand(asked: Asked, names: readonly MetricName[], sheet: MetricSheet, now: number): Partial<HostDetail> {
  const fresh = now - asked.at < FRESH_MS;
  for (const name of names) {
    const value = asked.sheet.metrics[name] ?? null;
    const reason = asked.sheet.reasons[name] ?? "too_few_samples";
    sheet.set(name, fresh ? value : null, reason);
  }
  return fresh ? asked.detail : {};
}

const positive = (value: number | null | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined;

export class SlowRound {
  #facts: SlowFacts = { mounts: [], primary: "", link: undefined };
  #often: Asked | undefined;
  #rare: Asked | undefined;

  /** Asks what is due, sets its metrics, and answers the facts. `now` in monotonic milliseconds. */
  async read(si: Si, sheet: MetricSheet, now: number): Promise<{ facts: SlowFacts; detail: Partial<HostDetail> }> {
    const holds = (asked: Asked | undefined, period: number): asked is Asked =>
      asked !== undefined && now - asked.at < period - EARLY_MS;
    if (!holds(this.#often, SLOW_MS)) this.#often = await this.#askOften(si, now);
    if (!holds(this.#rare, HOUR_MS)) this.#rare = await askRarely(si, now);
    hand(this.#often, OFTEN, sheet, now);
    const detail = hand(this.#rare, RARE, sheet, now);
    this.#linkMetrics(sheet);
    return { facts: this.#facts, detail };
  }

  async #askOften(si: Si, at: number): Promise<Asked> {
    const sheet = new MetricSheet();
    const [sizes, primary, battery, files] = await Promise.all([
      si.fsSize(),
      si.networkInterfaceDefault(),
      si.battery(),
      process.platform === "darwin" ? si.fsOpenFiles() : undefined,
    ]);
    const mounts = sizes
      .filter((each) => LOCAL_FS.test(each.type))
      .map((each) => ({ device: each.fs, path: each.mount, type: each.type }));
    const known = primary === this.#facts.primary ? this.#facts.link : undefined;
    const link = known ?? (primary === "" ? undefined : await linkOf(si, primary));
    this.#facts = { mounts, primary, link };
    const absent = battery.hasBattery ? "unsupported" : "not_applicable";
    sheet.set("battery_pct", battery.hasBattery ? battery.percent : undefined, absent);
    sheet.set("on_ac", battery.hasBattery ? battery.acConnected : undefined, absent);
    const open = positive(files?.allocated);
    const most = positive(files?.max);
    sheet.set("open_files", open, "unsupported");
    sheet.set("open_files_pct", open && most ? round3((100 * open) / most) : undefined, "unsupported");
    return { at, sheet, detail: {} };
  }

  #linkMetrics(sheet: MetricSheet): void {
    const { primary, link } = this.#facts;
    const absent = primary === "" ? "no_route" : "unsupported";
    sheet.set("if_mtu", positive(link?.mtu), absent);
    sheet.set("if_speed_mbps", positive(link?.speed), absent);
    sheet.set("if_duplex", /^(full|half)$/.exec(link?.duplex ?? "")?.[1], absent);
    sheet.set("if_kind", kindOf(link), absent);
  }
}

function kindOf(link: Systeminformation.NetworkInterfacesData | undefined): string | undefined {
  if (link === undefined) return undefined;
  if (link.virtual) return "virtual";
  return link.type === "wireless" ? "wifi" : link.type === "wired" ? "ethernet" : undefined;
}

async function linkOf(si: Si, primary: string): Promise<Systeminformation.NetworkInterfacesData | undefined> {
  const all = await si.networkInterfaces();
  return (Array.isArray(all) ? all : [all]).find((each) => each.iface === primary);
}

async function askRarely(si: Si, at: number): Promise<Asked> {
  const sheet = new MetricSheet();
  return { at, sheet, detail: { ...(await wireless(si, sheet)), ...(await processes(si, sheet)) } };
}

/** Newer macOS hides the network's name from programs without a right to the place. */
const shown = (name: string): string | undefined => (name === "" || /redacted/i.test(name) ? undefined : name.slice(0, 32));

async function wireless(si: Si, sheet: MetricSheet): Promise<Partial<HostDetail>> {
  const [link] = await si.wifiConnections();
  const absent = link === undefined ? "not_applicable" : "unsupported";
  // Windows tells a share in percent, from which a level in dBm can only be guessed.
  const level = process.platform === "darwin" && (link?.signalLevel ?? 0) < 0 ? link?.signalLevel : undefined;
  const ssid = shown(link?.ssid ?? "");
  sheet.set("wifi_ssid", ssid, absent);
  sheet.set("wifi_rssi_dbm", level, absent);
  sheet.set("wifi_freq_mhz", positive(link?.frequency), absent);
  sheet.set("wifi_tx_mbps", positive(Number(link?.txRate)), absent);
  if (link === undefined) return {};
  const row = { interface: link.iface, ssid: ssid ?? null, bssid: shown(link.bssid) ?? null, rssi_dbm: level ?? null };
  return {
    wifi: [{ ...row, freq_mhz: positive(link.frequency) ?? null, tx_mbps: positive(Number(link.txRate)) ?? null, rx_mbps: null }],
  };
}

/** The largest processes. Their processor share is a decaying mean there, not one of a known time. */
async function processes(si: Si, sheet: MetricSheet): Promise<Partial<HostDetail>> {
  const { all, list } = await si.processes();
  sheet.set("process_count", positive(all), "unsupported");
  const rows = list.map(
    (each): Process => ({ pid: each.pid, name: each.name.slice(0, 64), cpu_pct: null, rss_bytes: each.memRss * 1024 }),
  );
  const largest = rows.sort((a, b) => (b.rss_bytes ?? 0) - (a.rss_bytes ?? 0)).slice(0, SHOWN);
  return { processes: { over_s: null, top_cpu: [], top_memory: largest } };
}
