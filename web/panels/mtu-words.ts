// Path MTU in words, and the sizes a run tried.
import { z } from "zod";
import type { Result } from "#contract/result";
import { formatText, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import type { Point } from "../state/points.ts";
import { flagOrNull, listOf, numberOrNull, textOrNull } from "./read.ts";

/** What the sentence rests on: size, silence about it, who limits it. */
export function mtuVerdict({
  metrics,
  destination,
  status,
  error,
  detail,
}: Pick<Result, "metrics" | "destination" | "status" | "error" | "detail">): {
  tone: Tone;
  text: string;
} {
  const { path_mtu: mtu, pmtu_at_least: proven } = metrics;
  if (typeof mtu !== "number") {
    const why = error === null ? "" : ` ${sentence(error.message)}`;
    if (typeof proven === "number") {
      const size = formatText("path_mtu", proven);
      const text =
        detail.tried_up_to === proven
          ? `Packets of up to ${size}, the largest tried, reach ${destination} whole.${why}`
          : `Packets of ${size} reach ${destination} whole; whether larger ones do is not known.${why}`;
      return { tone: status === "ok" ? "ok" : "warn", text };
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
  sent: numberOrNull,
  received: numberOrNull,
  udp_passed: flagOrNull,
  icmp: z.object({ from: textOrNull, mtu: numberOrNull }).nullable().catch(null),
});

export interface SizeProbe {
  readonly size: number;
  readonly passed: boolean;
  readonly text: string;
}

/** The sizes tried, smallest first, with what came of each; one that was planned and never sent says nothing. */
export function probesOf({ detail }: Pick<Result, "detail">): SizeProbe[] {
  return listOf(detail.probes, probeSchema)
    .filter(({ sent, icmp, udp_passed }) => sent !== 0 || icmp !== null || udp_passed === true)
    .map(({ size, sent, received, udp_passed, icmp }) => {
      const counted = sent === null || received === null ? null : `${received} of ${sent} answered`;
      const refused =
        icmp === null ? null : `${icmp.from ?? "a router"} refuses${icmp.mtu === null ? "" : `, it says ${icmp.mtu} B`}`;
      return {
        size,
        passed: (received ?? 0) > 0 || udp_passed === true,
        text: [counted, refused].filter((part) => part !== null).join("; "),
      };
    })
    .sort((a, b) => a.size - b.size);
}

/** A step of a few bytes must be seen, so this axis begins below the smallest size instead of at 0. */
export function mtuAxis(points: readonly Point[]): { min?: number; max?: number } {
  const sizes = points.flatMap(({ values }) => [values.path_mtu?.mid ?? [], values.pmtu_at_least?.mid ?? []].flat());
  if (sizes.length === 0) return {};
  const low = Math.min(...sizes);
  const high = Math.max(...sizes);
  const room = Math.max(100, (high - low) * 0.25);
  return { min: Math.max(0, Math.floor((low - room) / 100) * 100), max: Math.ceil((high + room) / 100) * 100 };
}
