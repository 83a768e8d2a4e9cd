// Temperatures, fans and power meters as the kernel's hwmon and thermal classes show them
// (kernel documentation, hwmon/sysfs-interface.rst and driver-api/thermal/sysfs-api.rst).

import type { Sensor } from "#contract/host-detail";
import type { Reason } from "#contract/metrics";
import { round3 } from "../statistics.ts";
import { type Answer, type BusReader, mainReason, namesIn, numberOf, type Roots, textOf } from "./hardware-files.ts";

type Quantity = "temperature" | "fan" | "power";

interface Input {
  readonly quantity: Quantity;
  readonly chip: string;
  readonly label: string;
  readonly path: string;
  /** The block device behind a drive's sensor. */
  readonly drive: string | null;
  /** Whether asking keeps a spinning drive from going to sleep. */
  readonly spinning: boolean;
}

export interface Reading extends Sensor {
  readonly drive: string | null;
  readonly cpu: boolean;
}

export interface SensorReadings {
  readonly temperatures: readonly Reading[];
  readonly fans: readonly Sensor[];
  /** Watts. */
  readonly power: readonly Sensor[];
  /** Why nothing is known of each quantity, where nothing is. */
  readonly why: Readonly<Record<Quantity, Reason>>;
}

/** Chips and zones that measure the processor. */
const CPU = /^(coretemp|k8temp|k10temp|zenpower|via_cputemp|x86_pkg_temp|soc_thermal|cpu.*thermal.*|cpu[-_]?\d.*)$/;
/** Their figures come out of processor registers: nothing to wait for. */
const ON_DIE = /^(coretemp|k10temp|x86_pkg_temp)$/;
const SCALE: Readonly<Record<Quantity, number>> = { temperature: 1000, fan: 1, power: 1_000_000 };
/** Outside of this a sensor is not connected, whatever it says (°C; drivers answer -128, 127 and 255 then). */
const PLAUSIBLE_C = [-55, 126] as const;

/** A zone's type and the chip made from it differ in the dash alone. */
const chipName = (type: string): string => type.replaceAll("-", "_");

function driveBehind(dir: string): { drive: string | null; spinning: boolean } {
  const [disk] = namesIn(`${dir}/device/block`) ?? (namesIn(`${dir}/device`) ?? []).filter((name) => /^nvme\d+n\d+$/.test(name));
  if (disk === undefined) return { drive: null, spinning: false };
  const queue = `${dir}/device/block/${disk}/queue/rotational`;
  return { drive: disk, spinning: numberOf(queue) === 1 };
}

function chipInputs(dir: string): Input[] {
  const chip = textOf(`${dir}/name`) ?? "unknown";
  const files = namesIn(dir) ?? [];
  const has = new Set(files);
  const { drive, spinning } = driveBehind(dir);
  return files.flatMap((file) => {
    const match = /^((temp|fan|power)\d+)_(input|average)$/.exec(file);
    const [, base = "", kind] = match ?? [];
    if (match === null || (match[3] === "average" && (kind !== "power" || has.has(`${base}_input`)))) return [];
    if (numberOf(`${dir}/${base}_fault`) === 1) return [];
    const quantity = kind === "temp" ? "temperature" : (kind as "fan" | "power");
    const label = (has.has(`${base}_label`) ? textOf(`${dir}/${base}_label`) : undefined) ?? base;
    return [{ quantity, chip, label, path: `${dir}/${file}`, drive, spinning }];
  });
}

/** Thermal zones that no hwmon chip shows already. */
function zoneInputs(roots: Roots, chips: ReadonlySet<string>): Input[] {
  const zones = (namesIn(`${roots.sys}/class/thermal`) ?? []).filter((name) => name.startsWith("thermal_zone"));
  return zones.flatMap((zone) => {
    const chip = textOf(`${roots.sys}/class/thermal/${zone}/type`) ?? zone;
    const shown = chips.has(chipName(chip)) || (chip === "x86_pkg_temp" && chips.has("coretemp"));
    const path = `${roots.sys}/class/thermal/${zone}/temp`;
    return shown ? [] : [{ quantity: "temperature", chip, label: zone, path, drive: null, spinning: false } as const];
  });
}

/** The sensors of this host. What there is changes rarely: it is looked for anew on demand only. */
export class Sensors {
  readonly #roots: Roots;
  readonly #bus: BusReader;
  #inputs: readonly Input[] = [];
  #kept: readonly Reading[] = [];
  #present = false;

  constructor(roots: Roots, bus: BusReader) {
    this.#roots = roots;
    this.#bus = bus;
  }

  /** Looks for chips and zones. */
  discover(): void {
    const base = `${this.#roots.sys}/class/hwmon`;
    const chips = namesIn(base) ?? [];
    // A battery's meter tells what goes into it or out of it, which is no power drawn.
    const supplies = new Set((namesIn(`${this.#roots.sys}/class/power_supply`) ?? []).map(chipName));
    const inputs = chips
      .flatMap((name) => chipInputs(`${base}/${name}`))
      .filter((input) => input.quantity !== "power" || !supplies.has(input.chip));
    const zones = zoneInputs(
      this.#roots,
      new Set(inputs.filter((each) => each.quantity === "temperature").map((each) => each.chip)),
    );
    this.#inputs = [...inputs, ...zones];
    this.#present = chips.length > 0 || zones.length > 0;
  }

  async #ask(input: Input): Promise<Answer> {
    if (!ON_DIE.test(input.chip)) return this.#bus.read(input.path);
    const text = textOf(input.path);
    return text === undefined ? { why: "unsupported" } : { text };
  }

  /**
   * Reads every sensor once, one after the other. Of the spinning drives only the ones named are asked; without a list none is,
   * and their last figures stand.
   */
  async read(spinning: ReadonlySet<string> | undefined): Promise<SensorReadings> {
    const found: Record<Quantity, Reading[]> = { temperature: [], fan: [], power: [] };
    const failed: Record<Quantity, Answer[]> = { temperature: [], fan: [], power: [] };
    for (const input of this.#inputs) {
      if (input.spinning && !(input.drive !== null && spinning?.has(input.drive))) continue;
      const answer = await this.#ask(input);
      const value = "text" in answer && /^-?\d+$/.test(answer.text) ? Number(answer.text) / SCALE[input.quantity] : undefined;
      if (value === undefined || !plausible(input.quantity, value)) failed[input.quantity].push(answer);
      else found[input.quantity].push(asReading(input, value));
    }
    if (spinning !== undefined) {
      const names = new Set(this.#inputs.filter((input) => input.spinning).map((input) => input.drive));
      this.#kept = found.temperature.filter((reading) => names.has(reading.drive));
    } else found.temperature.push(...this.#kept);
    const why = (quantity: Quantity) => mainReason(failed[quantity], this.#present ? "unsupported" : "not_applicable");
    return {
      temperatures: found.temperature,
      fans: found.fan,
      power: found.power,
      why: { temperature: why("temperature"), fan: why("fan"), power: why("power") },
    };
  }
}

const plausible = (quantity: Quantity, value: number): boolean =>
  quantity === "temperature" ? value >= PLAUSIBLE_C[0] && value <= PLAUSIBLE_C[1] : value >= 0;

const asReading = ({ chip, label, drive }: Input, value: number): Reading => ({
  chip,
  label,
  value: round3(value),
  drive,
  cpu: CPU.test(chip),
});

/**
 * The hottest sensor of the processor. Of an AMD chip that shows both, Tctl is a figure for fan control with an offset
 * (k10temp.rst) and Tdie the temperature.
 */
export function hottestCpu(temperatures: readonly Reading[]): Reading | undefined {
  const ofCpu = temperatures.filter((each) => each.cpu);
  const honest = ofCpu.filter(
    (each) => each.label !== "Tctl" || !ofCpu.some((other) => other.chip === each.chip && other.label === "Tdie"),
  );
  return honest.sort((a, b) => b.value - a.value)[0];
}
