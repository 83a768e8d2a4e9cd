// Throughput in words, and the slices of a run as they were counted.
import { z } from "zod";
import type { Result } from "#contract/result";
import { formatText, inSentence, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import { listOf, numberOrNull, textOrNull, wordOf } from "./read.ts";

const known = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

const GRADE_TONE: Readonly<Record<string, Tone>> = { "A+": "ok", A: "ok", B: "ok", C: "warn", D: "bad", F: "bad" };

/** What the bufferbloat grade says; `none` for what is no grade. */
export const gradeTone = (grade: unknown): Tone =>
  typeof grade === "string" && Object.hasOwn(GRADE_TONE, grade) ? (GRADE_TONE[grade] ?? "none") : "none";

/** One connection reaching less than this share of many means that the path loses packets or is long for its windows. */
const ONE_CONNECTION_WELL = 0.6;

/** Beyond what two runs after each other differ by. */
const MORE = 1.1;

/** What one connection reaches of what many do, 0 to 1; null where either is not known. */
function singleShare(single: unknown, many: unknown): number | null {
  return known(single) && known(many) && many > 0 ? single / many : null;
}

export function singleText(single: unknown, many: unknown): string | null {
  const share = singleShare(single, many);
  if (share === null) return null;
  if (share > MORE) return "One connection alone reaches more than many together: they get into each other's way.";
  const percent = `${Math.round(share * 100)} %`;
  return share < ONE_CONNECTION_WELL
    ? `One connection alone reaches ${percent} of it: the path loses packets, or is long for one connection's window.`
    : `One connection alone reaches ${percent} of it.`;
}

const LIMITED: Readonly<Record<string, string>> = {
  network: "The network set the pace.",
  host: "This host could not keep up; the line may carry more.",
  budget: "The byte budget ended the run early.",
};

export const limitedText = (by: unknown): string | null => (typeof by === "string" ? (wordOf(LIMITED, by) ?? null) : null);

export function bandwidthVerdict({
  metrics,
  destination,
  status,
  error,
}: Pick<Result, "metrics" | "destination" | "status" | "error">): {
  tone: Tone;
  text: string;
} {
  const { bw_down_mbps: down, bw_up_mbps: up, bloat_grade: grade, bloat_down_ms, bloat_up_ms } = metrics;
  const rest = error ? ` ${sentence(error.message)}` : "";
  const rates = [
    known(down) ? `${formatText("bw_down_mbps", down)} down` : null,
    known(up) ? `${formatText("bw_up_mbps", up)} up` : null,
  ].filter((part) => part !== null);
  const where = destination === "edge" ? "its server" : inSentence(destination);
  if (rates.length === 0) return { tone: status === "ok" ? "none" : "warn", text: `No rate to ${where} could be told.${rest}` };
  const bloat = [bloat_down_ms, bloat_up_ms].filter(known);
  const worst = bloat.length > 0 ? Math.max(...bloat) : null;
  const loaded =
    worst === null
      ? ""
      : worst <= 0
        ? "; load adds no delay"
        : `; under load the round trip grows by ${formatText("bloat_down_ms", worst)}`;
  const graded = typeof grade === "string" && worst !== null ? ` (grade ${grade})` : "";
  const tone = gradeTone(grade);
  const text = `The line to ${where} carries ${rates.join(" and ")}${loaded}${graded}.${rest}`;
  return { tone: error ? (tone === "bad" ? "bad" : "warn") : tone === "none" ? "ok" : tone, text };
}

const STOP: Readonly<Record<string, string>> = {
  steady: "steady: the last slices agreed, so it ended early",
  time: "until its time was over",
  budget: "until its share of the byte budget was used",
  broken: "until its connections broke",
  stopped: "until it was stopped from outside",
};

export const stopText = (why: string | null): string | null =>
  why === null ? null : (wordOf(STOP, why) ?? why.replaceAll("_", " "));

const LONGEST = 256;

const phaseSchema = z
  .object({
    direction: z.enum(["down", "up"]),
    connections: numberOrNull,
    /** Rates of slices of 250 ms in their order, Mbit/s. */
    slices_mbps: z.array(z.number().min(0).max(1e6)).max(LONGEST).catch([]),
    warm_up_slices: numberOrNull,
    ended: textOrNull,
  })
  .transform(({ direction, connections, slices_mbps, warm_up_slices, ended }) => ({
    direction,
    streams: connections,
    slices: slices_mbps,
    /** How many of them are warm-up and do not count. */
    warm: Math.max(0, Math.min(slices_mbps.length, warm_up_slices ?? 0)),
    ended,
  }));
export type BandwidthPhase = z.output<typeof phaseSchema>;

export const phasesOfRun = ({ detail }: Pick<Result, "detail">): BandwidthPhase[] => listOf(detail.phases, phaseSchema, 8);

/** The rate the run gives for a phase; null where it gives none. */
export function rateOfPhase({ metrics }: Pick<Result, "metrics">, { direction, streams }: BandwidthPhase): number | null {
  const single = metrics[`bw_single_${direction}_mbps`];
  const rate = streams === 1 && known(single) ? single : metrics[`bw_${direction}_mbps`];
  return known(rate) ? rate : null;
}
