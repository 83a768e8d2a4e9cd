// What people see of a bandwidth run: each phase as it ends, and the summary.
import type { Measurement } from "#contract/result";
import type { Idle } from "../bandwidth/idle.ts";
import type { PhaseReport } from "../bandwidth/phase-report.ts";
import { cell, figure, milliseconds, type Row, type Tone } from "../rows.ts";

const RATE_WIDTH = 13;

/** A rate with three digits and its unit. */
export function mbps(value: unknown): string {
  if (typeof value !== "number") return "–";
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} Mbit/s`;
}

const connections = (streams: number): string => (streams === 1 ? "1 connection" : `${streams} connections`);

/** What is measured just now, for a progress line. */
export const phaseNote = (direction: string, streams: number, rate: number | undefined): string =>
  `${direction}, ${connections(streams)}: ${rate === undefined ? "…" : mbps(rate)}`;

export function idleRow({ rtt_ms, handshakes }: Idle): Row {
  return [cell("idle", 4, "dim"), cell(`${handshakes.length} connects`, 15), figure(milliseconds(rtt_ms), RATE_WIDTH)];
}

const ENDS: Record<PhaseReport["ended"], { text: string; tone: Tone }> = {
  steady: { text: "steady", tone: "good" },
  time: { text: "whole time", tone: "dim" },
  budget: { text: "budget spent", tone: "warn" },
  broken: { text: "broke off", tone: "bad" },
  stopped: { text: "stopped", tone: "bad" },
};

const BLOCKS = "▁▂▃▄▅▆▇█";

/** Slices as a line of blocks, the warm-up among them. */
function sparkline(slices: readonly number[]): string {
  const most = Math.max(...slices, 0);
  if (most === 0) return "";
  return slices.map((slice) => BLOCKS[Math.min(7, Math.floor((slice / most) * 7.99))]).join("");
}

export function phaseRow(phase: PhaseReport): Row {
  const { text, tone } =
    phase.trouble === undefined ? ENDS[phase.ended] : { text: phase.trouble.error.code, tone: "bad" as const };
  const seconds = `${(phase.duration_ms / 1000).toFixed(1)} s`;
  return [
    cell(phase.direction, 4, "dim"),
    cell(connections(phase.streams), 15),
    figure(mbps(phase.mbps), RATE_WIDTH, phase.mbps === undefined ? "bad" : "bold"),
    cell(`${text} after ${seconds}`, 22, tone),
    cell(sparkline(phase.slices), 0, "dim"),
  ];
}

/** Letters of the bufferbloat grades as good or bad. */
function gradeTone(grade: unknown): Tone {
  if (typeof grade !== "string") return "dim";
  return grade.startsWith("A") ? "good" : grade === "B" || grade === "C" ? "warn" : "bad";
}

const rpm = (value: unknown): string => (typeof value === "number" ? `${value.toFixed(0)} RPM` : "– RPM");
const plus = (value: unknown): string => (typeof value === "number" ? `+${milliseconds(value)}` : "–");

function megabytes(value: unknown): string {
  if (typeof value !== "number") return "–";
  return value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB` : `${(value / 1e6).toFixed(1)} MB`;
}

/** The finished run in a few rows. */
export function bandwidthView({ metrics }: Measurement): readonly Row[] {
  const title = (name: string) => cell(name, 8, "bold");
  const line = (direction: "down" | "up"): Row => [
    title(direction),
    figure(mbps(metrics[`bw_${direction}_mbps`]), RATE_WIDTH, "bold"),
    cell(`one connection ${mbps(metrics[`bw_single_${direction}_mbps`])}`, 29),
    cell(`loaded ${milliseconds(metrics[`rtt_loaded_${direction}_p50`])}`, 16),
    cell(`p95 ${milliseconds(metrics[`rtt_loaded_${direction}_p95`])}`, 13),
    cell(rpm(metrics[`rpm_${direction}`])),
  ];
  const directions = (["down", "up"] as const).filter((each) => metrics[`bw_${each}_mbps`] !== null);
  const grade = metrics.bloat_grade;
  const month = metrics.bw_budget_left_bytes;
  return [
    ...directions.map(line),
    [
      title("latency"),
      figure(milliseconds(metrics.rtt_idle_ms), RATE_WIDTH),
      cell(`idle; under load ${plus(metrics.bloat_down_ms)} down, ${plus(metrics.bloat_up_ms)} up`),
      cell(`bufferbloat ${typeof grade === "string" ? grade : "–"}`, 0, gradeTone(grade)),
    ],
    [
      title("used"),
      figure(megabytes(metrics.bw_bytes), RATE_WIDTH),
      ...(typeof month === "number" ? [cell(`${megabytes(month)} left this month`, 0, "dim")] : []),
      cell(`held by the ${metrics.bw_limited_by ?? "–"}`, 0, metrics.bw_limited_by === "network" ? "dim" : "warn"),
    ],
  ];
}
