// A host sample's detail, made ready for tables. An agent of any version wrote it, or a hostile one: each part is read by
// itself, whatever does not fit is left out, and no list is longer than a page can hold.
import { z } from "zod";
import {
  containerSchema,
  diskSchema,
  driveSchema,
  fileSystemSchema,
  hostDetailSchema,
  interfaceSchema,
  processSchema,
  type SelfTest,
  selfTestSchema,
  sensorSchema,
  wifiSchema,
} from "#contract/host-detail";
import { isMetricName } from "#contract/metrics";
import { metricLabel } from "../format.ts";
import { listOf, textOrNull } from "../panels/read.ts";

type Detail = Readonly<Record<string, unknown>>;

/** Rows of one table. */
const ROWS = 64;

export interface Rows<Item> {
  readonly items: readonly Item[];
  /** Entries that are not shown: too many, or not readable. */
  readonly left: number;
}

function rowsOf<Item extends z.ZodType>(value: unknown, item: Item): Rows<z.output<Item>> {
  const items = listOf(value, item, ROWS);
  return { items, left: Array.isArray(value) ? value.length - items.length : 0 };
}

const plain = (value: unknown): Detail =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Detail) : {};

/** A word of the detail itself. */
const wordAt = (detail: Detail, key: "primary_interface" | "default_gateway") =>
  hostDetailSchema.shape[key].safeParse(detail[key]).data ?? null;

export function interfacesOf(detail: Detail) {
  const { items, left } = rowsOf(detail.interfaces, interfaceSchema);
  const primary = wordAt(detail, "primary_interface");
  const up = ({ name, state }: { name: string; state: string }) => Number(name === primary) * 2 + Number(state === "up");
  return { primary, gateway: wordAt(detail, "default_gateway"), items: items.toSorted((a, b) => up(b) - up(a)), left };
}

export const fileSystemsOf = (detail: Detail) => rowsOf(detail.file_systems, fileSystemSchema);
export const disksOf = (detail: Detail) => rowsOf(detail.disks, diskSchema);
export const drivesOf = (detail: Detail) => rowsOf(detail.drives, driveSchema);
export const containersOf = (detail: Detail) => rowsOf(detail.containers, containerSchema);
export const wifiOf = (detail: Detail) => rowsOf(detail.wifi, wifiSchema);
export const coresOf = (detail: Detail) =>
  rowsOf(detail.cores, z.object({ name: z.string().max(300), busy_pct: z.number().nullable() }));

/** Temperatures, fans and power drawn, each with its unit. */
export function sensorsOf(detail: Detail) {
  const read = (value: unknown, unit: "°C" | "rpm" | "W") => {
    const { items, left } = rowsOf(value, sensorSchema);
    return { items: items.map((item) => ({ ...item, unit })), left };
  };
  const parts = [read(detail.temperatures, "°C"), read(detail.fans, "rpm"), read(detail.power, "W")];
  return { items: parts.flatMap(({ items }) => items), left: parts.reduce((sum, { left }) => sum + left, 0) };
}

export function processesOf(detail: Detail) {
  const { over_s, top_cpu, top_memory } = plain(detail.processes);
  return {
    overS: typeof over_s === "number" && over_s > 0 && over_s < 1e6 ? over_s : null,
    cpu: rowsOf(top_cpu, processSchema),
    memory: rowsOf(top_memory, processSchema),
  };
}

/** Later than that no date can be written. */
const LAST_MS = 253_402_300_799_000;
const moment = z.number().min(0).max(LAST_MS);
const datedSelfTest = selfTestSchema.extend({ at: moment, since: moment.nullable() });

/** The newest self-test; null where the agent sent none. */
export const selfTestOf = (detail: Detail | undefined): SelfTest | null =>
  datedSelfTest.safeParse(detail?.self_test).data ?? null;

export interface Need {
  readonly metrics: readonly string[];
  readonly text: string;
}

/** What this host lacks, each lack once with the figures it would bring. */
export function needsOf(detail: Detail): readonly Need[] {
  const byText = new Map<string, string[]>();
  for (const [name, value] of Object.entries(plain(detail.needs)).slice(0, 200)) {
    const text = textOrNull.parse(value);
    if (text === null || text === "" || !isMetricName(name)) continue;
    byText.set(text, [...(byText.get(text) ?? []), metricLabel(name)]);
  }
  return [...byText].map(([text, metrics]) => ({ text, metrics }));
}

const INVENTORY_WORD: ReadonlyMap<string, string> = new Map([
  ["os", "System"],
  ["kernel", "Kernel"],
  ["arch", "Architecture"],
  ["hostname", "Host name"],
  ["hardware", "Machine"],
  ["cpu_model", "Processor"],
  ["cpu_cores", "Logical processors"],
  ["memory_bytes", "Memory"],
  ["node", "Node"],
  ["container", "Container"],
]);

const scalar = z.union([z.number(), z.boolean(), z.string().min(1)]);

/** What the host is, as label and value; only what is a word, a number or a flag. */
export function inventoryOf(detail: Detail): readonly { label: string; key: string; value: string | number | boolean }[] {
  return Object.entries(plain(detail.inventory))
    .slice(0, ROWS)
    .flatMap(([key, raw]) => {
      const value = scalar.safeParse(typeof raw === "string" ? textOrNull.parse(raw) : raw).data;
      const label = INVENTORY_WORD.get(key) ?? key.slice(0, 60).replaceAll("_", " ");
      return value === undefined ? [] : [{ key, label, value }];
    });
}
