// Power drawn, battery and mains: RAPL energy counters (kernel documentation, power/powercap/powercap.rst), hwmon power
// meters, and power supplies (ABI/testing/sysfs-class-power). A battery's discharge rate is never taken for the host's power.
import type { Sensor } from "#contract/host-detail";
import type { Reason } from "#contract/metrics";
import { round3 } from "../statistics.ts";
import { type BusReader, namesIn, type Roots, textOf } from "./hardware-files.ts";
import { wholeNumber } from "./linux-files.ts";

interface Energy {
  readonly name: string;
  /** Microjoules. */
  readonly now: number;
  /** The counter starts again at 0 after this. */
  readonly range: number;
}

/** No processor package draws this: a counter that says so was reset, not wrapped (W). */
const MOST_WATTS = 2000;
/** After a longer pause the counter may have gone round more than once (s). */
const LONGEST_S = 300;

/** Mean power between two readings of one counter, W; undefined where it cannot be told. */
export function meanWatts(before: Energy | undefined, now: Energy, elapsed_s: number): number | undefined {
  if (before === undefined || elapsed_s <= 0 || elapsed_s > LONGEST_S) return undefined;
  const grown = now.now >= before.now ? now.now - before.now : now.now + now.range - before.now;
  const watts = grown / 1e6 / elapsed_s;
  return now.range > 0 && watts <= MOST_WATTS ? watts : undefined;
}

/** RAPL domains that do not overlap: packages, and the memory beside them; or the whole platform. */
const DOMAIN = /^intel-rapl:\d+(:\d+)?$/;

export class RaplMeter {
  readonly #base: string;
  #before: { at: number; zones: ReadonlyMap<string, Energy> } | undefined;

  constructor(roots: Roots) {
    this.#base = `${roots.sys}/class/powercap`;
  }

  /** Mean power since the last reading by domain. `at` is in monotonic milliseconds. */
  read(at: number): { power: Sensor[]; why: Reason } {
    const zones = new Map<string, Energy>();
    let refused = false;
    for (const zone of namesIn(this.#base) ?? []) {
      const name = DOMAIN.test(zone) ? textOf(`${this.#base}/${zone}/name`) : undefined;
      if (name === undefined || !/^(package-\d+|dram|psys)/.test(name)) continue;
      const now = wholeNumber(textOf(`${this.#base}/${zone}/energy_uj`));
      if (now === undefined) refused = true;
      else zones.set(zone, { name, now, range: wholeNumber(textOf(`${this.#base}/${zone}/max_energy_range_uj`)) ?? 0 });
    }
    const before = this.#before;
    this.#before = { at, zones };
    const elapsed_s = before === undefined ? 0 : (at - before.at) / 1000;
    const power = [...zones].flatMap(([zone, energy]) => {
      const watts = meanWatts(before?.zones.get(zone), energy, elapsed_s);
      return watts === undefined ? [] : [{ chip: "rapl", label: `${energy.name} ${zone}`, value: round3(watts) }];
    });
    const why = zones.size > 0 ? "too_few_samples" : refused ? "no_permission" : "unsupported";
    return { power, why };
  }
}

/**
 * The widest figure there is, W: a meter in the power supply, else the platform's, else the sum of packages and their memory.
 * A single component's meter (a graphics card's) is no host's power.
 */
export function hostWatts(meters: readonly Sensor[], rapl: readonly Sensor[]): number | undefined {
  const supply = meters.filter((each) => each.chip === "power_meter");
  const platform = rapl.filter((each) => each.label.startsWith("psys"));
  const widest = supply.length > 0 ? supply : platform.length > 0 ? platform : rapl;
  return widest.length === 0 ? undefined : round3(widest.reduce((sum, each) => sum + each.value, 0));
}

type Supply = ReadonlyMap<string, string>;

/** The properties of one supply by their names in sysfs, from its uevent file: one read instead of ten over the bus. */
export function parseSupply(uevent: string): Supply {
  const pairs = uevent.matchAll(/^POWER_SUPPLY_([A-Z0-9_]+)=(.*)$/gm);
  return new Map([...pairs].map((match) => [(match[1] ?? "").toLowerCase(), match[2] ?? ""]));
}

const MAINS = /^(Mains|USB.*|Wireless|BrickID)$/;

/** Charge of all the host's batteries together, percent. */
export function charge(batteries: readonly Supply[]): number | undefined {
  for (const kind of ["energy", "charge"]) {
    const pairs = batteries.map((each) => [wholeNumber(each.get(`${kind}_now`)), wholeNumber(each.get(`${kind}_full`))] as const);
    const known = pairs.every(([now, full]) => now !== undefined && full !== undefined && full > 0);
    const total = pairs.reduce((sum, [, full]) => sum + (full ?? 0), 0);
    // One battery's own figure is better than ours: it knows what it keeps back.
    if (known && batteries.length > 1) return round3((100 * pairs.reduce((sum, [now]) => sum + (now ?? 0), 0)) / total);
  }
  const shares = batteries.map((each) => wholeNumber(each.get("capacity"))).filter((share) => share !== undefined);
  return shares.length === 0 ? undefined : round3(shares.reduce((sum, share) => sum + share, 0) / shares.length);
}

/** Whether mains feeds this host: what the adapters say, else what the batteries do. */
export function onMains(supplies: readonly Supply[], batteries: readonly Supply[]): boolean | undefined {
  const online = supplies.filter((each) => MAINS.test(each.get("type") ?? "")).map((each) => each.get("online"));
  if (online.some((each) => each !== undefined && each !== "0")) return true;
  if (online.includes("0")) return false;
  const doing = batteries.map((each) => each.get("status"));
  if (doing.includes("Discharging")) return false;
  return doing.some((each) => each === "Charging" || each === "Full" || each === "Not charging") ? true : undefined;
}

export interface SupplyReading {
  readonly battery_pct: number | undefined;
  readonly on_ac: boolean | undefined;
  readonly why: Reason;
}

/** Battery and mains; a mouse's battery (scope Device) is none of the host's. */
export async function readSupplies(roots: Roots, bus: BusReader): Promise<SupplyReading> {
  const base = `${roots.sys}/class/power_supply`;
  const names = namesIn(base) ?? [];
  const all: Supply[] = [];
  let hangs = false;
  for (const name of names) {
    const answer = await bus.read(`${base}/${name}/uevent`);
    hangs ||= "why" in answer && answer.why === "timeout";
    if ("text" in answer) all.push(parseSupply(answer.text));
  }
  const supplies = all.filter((each) => each.get("scope") !== "Device");
  const batteries = supplies.filter((each) => each.get("type") === "Battery" && each.get("present") !== "0");
  return {
    battery_pct: charge(batteries),
    on_ac: onMains(supplies, batteries),
    why: hangs ? "timeout" : batteries.length > 0 ? "unsupported" : "not_applicable",
  };
}
