// What people see on a terminal: aligned, with units, coloured only where a terminal shows it.
import { styleText } from "node:util";
import { METRICS, type MetricName, type MetricValue } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import type { Row, Tone } from "./rows.ts";

export interface Paint {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

/** Colours for a terminal, plain text for everything else. NO_COLOR is obeyed. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const on = stream.isTTY === true && process.env.NO_COLOR === undefined;
  const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    on ? styleText(format, text, { validateStream: false }) : text;
  return { good: style("green"), warn: style("yellow"), bad: style("red"), dim: style("dim"), bold: style("bold") };
}

/** Text of a server or a router must not speak to the terminal: control characters, and those that turn its direction. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");

/** Shows rows one by one, each column as wide as its widest cell so far, so that figures stand under each other. */
export class RowPrinter {
  readonly #paint: Paint;
  readonly #widths: number[] = [];

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  /** One row as a line without its end. */
  line(row: Row): string {
    const cells = row.map(({ text: told, tone, width, align }, i) => {
      const text = harmless(told);
      const wide = Math.max(this.#widths[i] ?? 0, width, text.length);
      this.#widths[i] = wide;
      const last = i === row.length - 1 && align === "left";
      const padded = align === "right" ? text.padStart(wide) : last ? text : text.padEnd(wide);
      return this.#colour(tone, padded);
    });
    return `  ${cells.join("  ")}`.trimEnd();
  }

  #colour(tone: Tone, text: string): string {
    return tone === "plain" ? text : this.#paint[tone](text);
  }
}

/** Rows of cells as left-aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const BYTE_STEPS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

function bytes(value: number, suffix: string): string {
  const step = Math.min(BYTE_STEPS.length - 1, value < 10_000 ? 0 : Math.floor(Math.log2(value) / 10));
  const figure = step === 0 ? String(Math.round(value)) : (value / 1024 ** step).toFixed(1);
  return `${figure} ${BYTE_STEPS[step] ?? "bytes"}${suffix}`;
}

/** A metric's value with its unit, e.g. `20.3 ms`. */
export function showValue(name: MetricName, value: MetricValue): string {
  if (value === null) return "–";
  if (typeof value !== "number") return harmless(String(value));
  const { unit } = METRICS[name];
  if (unit === "bytes") return bytes(value, "");
  if (unit === "bytes/s") return bytes(value, "/s");
  const figure = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 3 : 1);
  return unit === "count" || unit === "" || unit === "ratio" ? figure : `${figure} ${unit}`;
}

type Shown = Pick<Measurement, "type" | "destination" | "address" | "status" | "error" | "metrics" | "reasons" | "duration_ms">;

/** What ran, how it ended and how long it took, with the error where there is one. */
export function showHead(result: Shown, paint: Paint): string {
  const colour = result.status === "ok" ? paint.good : result.status === "partial" ? paint.warn : paint.bad;
  const where = result.address === null || result.address === result.destination ? "" : ` (${result.address})`;
  const head = `${paint.bold(`${result.type} ${result.destination}${where}`)}  ${colour(result.status)}  ${(result.duration_ms / 1000).toFixed(1)} s`;
  if (result.error === null) return head;
  return `${head}\n${paint.bad(harmless(`${result.error.code} (${result.error.source}): ${result.error.message}`))}`;
}

/** Every metric of a measurement with its unit; those not measured with their reason. */
export function showMetrics(result: Shown, paint: Paint): string {
  const names = Object.keys(result.metrics) as MetricName[];
  const measured = names.filter((name) => result.metrics[name] !== null);
  const missing = names.filter((name) => result.metrics[name] === null);
  const table = columns(
    measured.map((name) => [`  ${name}`, showValue(name, result.metrics[name] ?? null), METRICS[name].label]),
  );
  const absent =
    missing.length === 0
      ? []
      : [paint.dim(`  not measured: ${missing.map((name) => `${name} (${result.reasons[name] ?? "unknown"})`).join(", ")}`)];
  return [...(measured.length > 0 ? [table] : []), ...absent].join("\n");
}

/** One measurement for people, every metric listed. */
export const showResult = (result: Shown, paint: Paint): string => `${showHead(result, paint)}\n${showMetrics(result, paint)}`;
