// Figures as people read them. Unknown never becomes a number.
import { isMetricName, METRICS, type MetricName, REASONS, type Reason, type Unit } from "#contract/metrics";
import { isTestTypeName, testType } from "#contract/test-types/index";
import { destinationText, isMesh } from "./peers.ts";
import { calendarText } from "./time.ts";

export const UNKNOWN = "–";

export interface Shown {
  readonly text: string;
  readonly unit: string;
}

type Value = number | string | boolean | null | undefined;

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

const TURNS = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A name within a sentence; one written from right to left must not turn the words around it. */
export const inSentence = (name: string) => (TURNS.test(name) ? `\u2068${name}\u2069` : name);

/** A type as people know it; one of tomorrow by its own name. */
export const typeLabel = (type: string) => (isTestTypeName(type) ? testType(type).label : type);

/** A type within a sentence: "ping", "path MTU", "DNS", "QoS". */
export function typeWord(type: string): string {
  const label = typeLabel(type);
  return /^.\S*\p{Lu}/u.test(label) ? label : label.charAt(0).toLowerCase() + label.slice(1);
}

/** "ping to 192.0.2.1"; a name is looked up, not gone to, and the clients of a mesh measure one another. */
export function typeAndTarget(type: string, destination: string): string {
  if (isMesh(destination)) return `${typeWord(type)} with each other`;
  if (type === "bandwidth" && destination === "edge") return "bandwidth to this server";
  return `${typeWord(type)} ${type === "dns" ? "of" : "to"} ${inSentence(destinationText(destination))}`;
}

/** A test's name in lists; one that was only made of its destination says it in words. */
export function testName({ name, type, destination }: { name: string; type: string; destination: string }): string {
  const made = name === `${destination} ${type}` && !isMesh(destination);
  return made ? `${destinationText(destination)} ${typeWord(type)}` : name;
}

/** A message as a sentence of its own. */
export const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;

/** A test's heading: its name and what it measures, or, where the name says no more than that, destination and type. */
export function testTitle(test: { name: string; type: string; destination: string }): { name: string; target: string } {
  const target = destinationText(test.destination);
  const plain = [test.destination, target].flatMap((name) => [name, `${name} ${test.type}`]).includes(test.name);
  if (plain && !isMesh(test.destination)) return { name: target, target: typeWord(test.type) };
  return { name: test.name, target: typeAndTarget(test.type, test.destination) };
}

/** About three significant figures, and never 0 for something that is not 0. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  // No measurement is as large as that; what some agent made up must not break the page.
  if (size >= 1e12) return value.toExponential(2);
  if (size >= 100) return grouped.format(value);
  if (size >= 10) return trimmed(value, 1);
  if (size >= 1) return trimmed(value, 2);
  if (size >= 0.001) return trimmed(value, 3);
  return value.toPrecision(1);
}

function trimmed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Percent with one decimal; two figures below 0.1, so that a rare loss stays visible. */
export function formatPercent(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.1) return String(Number(value.toPrecision(2)));
  return trimmed(value, 1);
}

function scaled(value: number, base: number, units: readonly string[]): Shown {
  let size = value;
  let step = 0;
  while (Math.abs(size) >= base && step < units.length - 1) {
    size /= base;
    step += 1;
  }
  return { text: formatNumber(size), unit: units[step] ?? "" };
}

const EXACT_BYTES = 65_536;
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB"];
const RATES = ["B/s", "kB/s", "MB/s", "GB/s"];
const YEAR_H = 8766;
const BIT_RATES = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
/** A point in time as agents write it (RFC 3339, UTC). */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;

/** Two largest parts: "3 d 4 h", "12 min 5 s". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor((whole % 86_400) / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

export function formatUnit(value: number, unit: Unit | string): Shown {
  switch (unit) {
    case "bytes":
      // Packet sizes and MTUs are known by their exact bytes.
      return Math.abs(value) <= EXACT_BYTES ? { text: grouped.format(value), unit: "B" } : scaled(value, 1024, BINARY);
    case "bytes/s":
      return scaled(value, 1000, RATES);
    case "bit/s":
      return scaled(value, 1000, BIT_RATES);
    case "days":
      return { text: formatNumber(value), unit: Math.abs(value) === 1 ? "day" : "days" };
    case "%":
      return { text: formatPercent(value), unit: "%" };
    case "s":
      return { text: formatDuration(value), unit: "" };
    case "count":
      return { text: formatNumber(value), unit: "" };
    case "h":
      // Nobody reads the age of a drive in hours.
      return Math.abs(value) < YEAR_H
        ? { text: formatNumber(value), unit: "h" }
        : { text: formatNumber(value / YEAR_H), unit: "years" };
    case "1/s":
      return { text: formatNumber(value), unit: "/s" };
    case "ratio":
      return { text: formatNumber(value), unit: "×" };
    case "":
      // Ports, status codes and the like are names, not quantities: 8443 is no 8,443.
      return { text: Number.isInteger(value) && Math.abs(value) < 1e12 ? String(value) : formatNumber(value), unit: "" };
    default:
      return { text: formatNumber(value), unit };
  }
}

/** Value and unit of a metric; null where it is not known. */
export function formatMetric(name: string, value: Value): Shown | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return { text: value ? "yes" : "no", unit: "" };
  if (typeof value === "string") return { text: formatWord(value), unit: "" };
  if (!Number.isFinite(value)) return null;
  // What a line carried is counted as lines are sold.
  if (name.startsWith("bw_") && isMetricName(name) && METRICS[name].unit === "bytes") return scaled(value, 1000, DECIMAL);
  return formatUnit(value, isMetricName(name) ? METRICS[name].unit : "");
}

function formatWord(value: string): string {
  if (!TIMESTAMP.test(value)) return value;
  const ms = Date.parse(value);
  return Number.isFinite(ms) ? calendarText(ms) : value;
}

/** Flags that say how well things are, with the value that is well; of the others neither is wrong. */
const JUDGED: ReadonlyMap<string, { well: boolean; else: "warn" | "bad" }> = new Map([
  ["path_reached", { well: true, else: "bad" }],
  ["path_loop_detected", { well: false, else: "bad" }],
  ["path_changed", { well: false, else: "warn" }],
  ["pmtu_blackhole", { well: false, else: "bad" }],
  ["tls_authorized", { well: true, else: "bad" }],
  ["qos_preserved", { well: true, else: "warn" }],
  ["ecn_blocked", { well: false, else: "bad" }],
  ["dns_resolver_diff", { well: false, else: "warn" }],
  ["http_assertions_ok", { well: true, else: "bad" }],
  ["fs_readonly", { well: false, else: "bad" }],
  ["smart_passed", { well: true, else: "bad" }],
  ["ntp_synced", { well: true, else: "warn" }],
  ["on_ac", { well: true, else: "warn" }],
  ["reboot_required", { well: false, else: "warn" }],
]);

/** What a flag warns of; null while all is well, where it is a fact, and for what is no flag. */
export function flagTone(name: string, value: Value): "warn" | "bad" | null {
  const judged = JUDGED.get(name);
  return typeof value === "boolean" && judged !== undefined && value !== judged.well ? judged.else : null;
}

/** Whether a chart can show the metric. */
export const isNumeric = (name: string) => isMetricName(name) && METRICS[name].kind === "number";

/** As one string, for tool tips and sentences. */
export function formatText(name: string, value: Value): string {
  const shown = formatMetric(name, value);
  if (!shown) return UNKNOWN;
  return shown.unit === "" ? shown.text : `${shown.text} ${shown.unit}`;
}

export const metricLabel = (name: string) => (isMetricName(name) ? METRICS[name].label : name);
export const metricUnit = (name: MetricName): string => METRICS[name].unit;

const REASON_TEXT: Record<Reason, string> = {
  unsupported: "this host or tool does not report it",
  no_permission: "the agent may not read it",
  tool_missing: "the tool that measures it is not installed",
  timeout: "it took too long",
  dns_fail: "the name could not be resolved",
  no_route: "there is no route to the destination",
  refused: "it was refused",
  not_applicable: "it does not apply here",
  too_few_samples: "too few samples for this figure",
  host_overloaded: "the host was too busy to measure it",
};

export function reasonText(reason: string | undefined): string {
  const known = REASONS.find((code) => code === reason);
  return known ? `Not known: ${REASON_TEXT[known]}` : "Not known: nothing was reported";
}
