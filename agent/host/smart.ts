// The drives of this host and what they say of their health (SMART), by smartctl: rarely, and never waking one that sleeps.
import { accessSync, constants } from "node:fs";
import type { Drive } from "#contract/host-detail";
import type { Reason } from "#contract/metrics";
import { findTool, runTool } from "../exec.ts";
import { parseSmartctl, type SmartReading, type SmartTrouble } from "../parsers/smartctl.ts";
import { namesIn, numberOf, type Roots, textOf } from "./hardware-files.ts";

const TOOL_MS = 2000;
const GRACE_MS = 200;
/** Drives asked at the same time. */
const AT_ONCE = 8;
const MOST_DRIVES = 32;

interface Disk {
  /** The block device, as disk rates call it. */
  readonly name: string;
  /** What smartctl is asked about: an NVMe drive is its controller. */
  readonly device: string;
  readonly model: string | null;
  readonly spinning: boolean;
}

interface Known {
  readonly reading: SmartReading | null;
  readonly trouble: SmartTrouble | null;
}

/** Physical drives with a SMART of their own; virtual ones (vda, xvda) and memory cards (mmcblk0) have none. */
export function drivesOf(roots: Roots): Disk[] {
  const seen = new Set<string>();
  const disks = (namesIn(`${roots.sys}/block`) ?? []).flatMap((name) => {
    const device = /^(nvme\d+)n\d+$/.exec(name)?.[1] ?? (/^[hs]d[a-z]+$/.test(name) ? name : undefined);
    if (device === undefined || seen.has(device)) return [];
    seen.add(device);
    const base = `${roots.sys}/block/${name}`;
    // A drive without a size is an empty card reader.
    if (numberOf(`${base}/size`) === 0) return [];
    return [
      { name, device, model: textOf(`${base}/device/model`) || null, spinning: numberOf(`${base}/queue/rotational`) === 1 },
    ];
  });
  return disks.slice(0, MOST_DRIVES);
}

export interface SmartState {
  readonly drives: readonly Drive[];
  /** Drives left alone because they sleep or are about to. */
  readonly asleep: readonly string[];
  /** Why a figure is missing that no drive has told. */
  readonly why: Reason;
}

export class SmartDrives {
  readonly #roots: Roots;
  #disks: readonly Disk[] = [];
  readonly #known = new Map<string, Known>();
  readonly #used = new Map<string, string>();
  #inUse: ReadonlySet<string> = new Set();
  #why: Reason = "not_applicable";

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  /** Drives that may be asked without keeping them from going to sleep. */
  get inUse(): ReadonlySet<string> {
    return this.#inUse;
  }

  /** Looks for drives, and asks each for its health. */
  async round(): Promise<void> {
    this.#disks = drivesOf(this.#roots);
    this.#inUse = new Set(this.#disks.filter((disk) => this.#isUsed(disk)).map((disk) => disk.name));
    const names = new Set(this.#disks.map((disk) => disk.name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    if (this.#disks.length === 0) return this.#conclude("not_applicable");
    const file = findTool("smartctl");
    if (file === undefined) return this.#conclude("tool_missing");
    for (const disk of this.#disks) if (!this.#inUse.has(disk.name)) this.#learn(disk, "standby");
    const asked = this.#disks.filter((disk) => this.#inUse.has(disk.name));
    for (let i = 0; i < asked.length; i += AT_ONCE) {
      const some = asked.slice(i, i + AT_ONCE);
      await Promise.all(some.map(async (disk) => this.#learn(disk, await askDrive(file, `${this.#roots.dev}/${disk.device}`))));
    }
    this.#conclude();
  }

  /** A spinning drive that nothing was read from or written to since the last round would go to sleep: asking keeps it awake. */
  #isUsed(disk: Disk): boolean {
    const [reads, , , , writes] = (textOf(`${this.#roots.sys}/block/${disk.name}/stat`) ?? "").split(/\s+/);
    const done = `${reads} ${writes}`;
    const before = this.#used.get(disk.name);
    this.#used.set(disk.name, done);
    return !disk.spinning || before !== done;
  }

  #learn(disk: Disk, answer: SmartReading | SmartTrouble): void {
    const before = this.#known.get(disk.name)?.reading ?? null;
    if (typeof answer !== "string") this.#known.set(disk.name, { reading: answer, trouble: null });
    // What a sleeping drive said of its health before holds; its temperature does not.
    else if (answer === "standby")
      this.#known.set(disk.name, { reading: before && { ...before, temperature_c: null }, trouble: answer });
    else this.#known.set(disk.name, { reading: null, trouble: answer });
  }

  #conclude(why?: Reason): void {
    const troubles = [...this.#known.values()].map((known) => known.trouble);
    this.#why = why ?? (troubles.includes("no_permission") ? "no_permission" : "unsupported");
  }

  /** What is known now. */
  state(): SmartState {
    const drives = this.#disks.map((disk) => {
      const { model, ...figures } = this.#known.get(disk.name)?.reading ?? NOTHING;
      return { name: disk.name, ...figures, model: model ?? disk.model };
    });
    const asleep = this.#disks.filter((disk) => this.#known.get(disk.name)?.trouble === "standby").map((disk) => disk.name);
    return { drives, asleep, why: this.#why };
  }
}

const NOTHING: SmartReading = {
  model: null,
  passed: null,
  temperature_c: null,
  power_on_hours: null,
  reallocated: null,
  pending: null,
  percent_used: null,
};

async function askDrive(file: string, device: string): Promise<SmartReading | SmartTrouble> {
  try {
    // What this process may not open, a program started by it may not either: no need to start one.
    accessSync(device, constants.R_OK);
  } catch {
    return "no_permission";
  }
  const run = await runTool({
    file,
    args: ["-j", "-H", "-A", "-i", "-n", "standby", device],
    timeout_ms: TOOL_MS,
    grace_ms: GRACE_MS,
  });
  return parseSmartctl(run.stdout);
}
