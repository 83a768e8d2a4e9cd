// The host's Wi-Fi: which network, how loud, how fast. By iw on hosts that have a wireless interface, else nothing is started.
import type { Wifi } from "#contract/host-detail";
import type { Reason } from "#contract/metrics";
import { findTool, runTool } from "../exec.ts";
import { parseIwLink, parseIwStations, parseProcWireless, type WifiLink, type WifiStation } from "../parsers/iw.ts";
import { round3 } from "../statistics.ts";
import { namesIn, numberOf, type Roots, textOf } from "./hardware-files.ts";

const TOOL_MS = 1000;
const MOST_INTERFACES = 4;
/** Names that may become an argument of a tool; the kernel allows others. */
const ARGUMENT = /^[A-Za-z0-9][\w.-]{0,14}$/;
/** Fewer frames tell no share. */
const LEAST_FRAMES = 20;

/** Interfaces of a wireless card. */
export function wirelessInterfaces(roots: Roots): string[] {
  const base = `${roots.sys}/class/net`;
  return (namesIn(base) ?? [])
    .filter((name) => ARGUMENT.test(name))
    .filter((name) => namesIn(`${base}/${name}/wireless`) !== undefined || namesIn(`${base}/${name}/phy80211`) !== undefined)
    .slice(0, MOST_INTERFACES);
}

/** One association: the same while the carrier did not change. */
interface Association {
  readonly carrier_changes: number | undefined;
  readonly link: WifiLink | null;
  station: WifiStation | undefined;
}

export interface WifiReading {
  readonly wifi: readonly Wifi[];
  /** Share of transmissions that repeated an earlier one, percent, on the first connected interface. */
  readonly retries_pct: number | undefined;
  readonly why: Reason;
  readonly whyRetries: Reason;
}

/** Share of repeated transmissions between two looks at one station. */
export function retriesShare(before: WifiStation | undefined, now: WifiStation | undefined): number | undefined {
  if (before === undefined || now === undefined || before.bssid !== now.bssid) return undefined;
  if (before.tx_packets === null || before.tx_retries === null || now.tx_packets === null || now.tx_retries === null)
    return undefined;
  const packets = now.tx_packets - before.tx_packets;
  const retries = now.tx_retries - before.tx_retries;
  // Counters that ran backwards belong to another association with the same access point.
  if (packets < 0 || retries < 0 || packets < LEAST_FRAMES) return undefined;
  return round3((100 * retries) / (packets + retries));
}

export class WifiWatch {
  readonly #roots: Roots;
  readonly #known = new Map<string, Association>();

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  /** One look. `afresh` also asks anew for the network's name and channel, which change only with the association. */
  async read(afresh: boolean): Promise<WifiReading> {
    const names = wirelessInterfaces(this.#roots);
    const nothing = { wifi: [], retries_pct: undefined };
    if (names.length === 0) return { ...nothing, why: "not_applicable", whyRetries: "not_applicable" };
    const levels = parseProcWireless(textOf(`${this.#roots.proc}/net/wireless`) ?? "");
    const file = findTool("iw");
    if (file === undefined) {
      const wifi = names.flatMap((name) => withoutTool(name, levels.get(name)));
      return { ...nothing, wifi, why: "tool_missing", whyRetries: "tool_missing" };
    }
    const wifi: Wifi[] = [];
    const shares: (number | undefined)[] = [];
    for (const name of names) {
      const before = this.#known.get(name)?.station;
      const association = await this.#look(file, name, afresh);
      if (association?.link == null) continue;
      wifi.push(asWifi(name, association.link, association.station, levels.get(name)));
      shares.push(retriesShare(before, association.station));
    }
    // A card that belongs to no network has nothing to tell.
    const why = wifi.length === 0 ? "not_applicable" : "unsupported";
    return { wifi, retries_pct: shares[0], why, whyRetries: wifi.length === 0 ? why : "too_few_samples" };
  }

  async #look(file: string, name: string, afresh: boolean): Promise<Association | undefined> {
    const carrier_changes = numberOf(`${this.#roots.sys}/class/net/${name}/carrier_changes`);
    let known = this.#known.get(name);
    if (afresh || known === undefined || known.carrier_changes !== carrier_changes)
      known = await this.#associate(file, name, carrier_changes);
    if (known.link === null) return known;
    const stations = parseIwStations(await ask(file, ["dev", name, "station", "dump"]));
    const { bssid } = known.link;
    // Roamed to another access point of the same network: its channel is another.
    if (!stations.some((each) => each.bssid === bssid) && !afresh) known = await this.#associate(file, name, carrier_changes);
    known.station = stations.find((each) => each.bssid === known.link?.bssid);
    return known;
  }

  async #associate(file: string, name: string, carrier_changes: number | undefined): Promise<Association> {
    const link = parseIwLink(await ask(file, ["dev", name, "link"])) ?? null;
    const association = { carrier_changes, link, station: undefined };
    this.#known.set(name, association);
    return association;
  }
}

const ask = async (file: string, args: string[]): Promise<string> => (await runTool({ file, args, timeout_ms: TOOL_MS })).stdout;

const withoutTool = (name: string, rssi_dbm: number | undefined): Wifi[] =>
  rssi_dbm === undefined
    ? []
    : [{ interface: name, ssid: null, bssid: null, rssi_dbm, freq_mhz: null, tx_mbps: null, rx_mbps: null }];

const asWifi = (name: string, link: WifiLink, station: WifiStation | undefined, level: number | undefined): Wifi => ({
  interface: name,
  ssid: link.ssid,
  bssid: link.bssid,
  rssi_dbm: station?.rssi_dbm ?? level ?? null,
  freq_mhz: link.freq_mhz,
  tx_mbps: station?.tx_mbps ?? null,
  rx_mbps: station?.rx_mbps ?? null,
});
