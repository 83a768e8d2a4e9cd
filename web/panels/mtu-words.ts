// Path MTU in words, and the sizes a run tried.
import { z } from "zod";
import type { Result } from "#contract/result";
import { formatText, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import type { Point } from "../state/points.ts";
import { flagOrNull, listOf, textOrNull } from "./read.ts";

/** What the sentence rests on: size, silence about it, who limits it. */
export function mtuVerdict({
  metrics,
  destination,
  status,
  error,
}: Pick<Result, "metrics" | "destination" | "status" | "error">): {
  tone: Tone;
  text: string;
} {
  const { path_mtu: mtu, pmtu_at_least: proven } = metrics;
  if (typeof mtu !== "number") {
    const why = error === null ? "" : ` ${sentence(error.message)}`;
    if (typeof proven === "number") {
      const text = `Packets of ${formatText("path_mtu", proven)} reach ${destination} whole; more could not be proven.${why}`;
      return { tone: "warn", text };
    }
    return { tone: status === "failed" ? "bad" : "none", text: `The path MTU to ${destination} is not known.${why}` };
  }
  const size = formatText("path_mtu", mtu);
  const hop = metrics.pmtu_limiting_hop;
  if (metrics.pmtu_blackhole === true) {
    const text = `Packets above ${size} vanish on the way to ${destination} and no router says so: a black hole. Connections may hang there.`;
    return { tone: "bad", text };
  }
  const limit = typeof hop === "string" && hop !== "" ? `; the limit is at ${hop}` : "";
  return { tone: "ok", text: `Packets of up to ${size} reach ${destination} whole${limit}.` };
}

const probeSchema = z.object({
  size: z.number().min(0),
  ok: flagOrNull,
  passed: flagOrNull,
  answered: flagOrNull,
  outcome: textOrNull,
  result: textOrNull,
  from: textOrNull,
});

export interface SizeProbe {
  readonly size: number;
  readonly passed: boolean | null;
  readonly text: string;
}

export function probesOf({ detail }: Pick<Result, "detail">): SizeProbe[] {
  return listOf(detail.probes, probeSchema).map(({ size, ok, passed, answered, outcome, result, from }) => ({
    size,
    passed: ok ?? passed ?? answered,
    text: [outcome ?? result, from === null ? null : `by ${from}`]
      .filter((part) => part !== null)
      .join(" ")
      .replaceAll("_", " "),
  }));
}

/** A step of a few bytes must be seen, so this axis begins below the smallest size instead of at 0. */
export function mtuAxis(points: readonly Point[]): { min?: number; max?: number } {
  const sizes = points.flatMap((point) => point.values.path_mtu?.mid ?? []);
  if (sizes.length === 0) return {};
  const low = Math.min(...sizes);
  const high = Math.max(...sizes);
  const room = Math.max(100, (high - low) * 0.25);
  return { min: Math.max(0, Math.floor((low - room) / 100) * 100), max: Math.ceil((high + room) / 100) * 100 };
}
