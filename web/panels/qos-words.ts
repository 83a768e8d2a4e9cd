// What the network does with traffic classes and congestion bits, in words and as a table.
import { z } from "zod";
import { dscpName } from "#contract/dscp";
import type { Result } from "#contract/result";
import { formatText, inSentence, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import { listOf, numberOrNull, textOrNull } from "./read.ts";

const known = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** "EF (46)"; a code point without a name is just its number. */
export function dscpText(value: number | null): string | null {
  if (value === null || !Number.isInteger(value) || value < 0 || value > 63) return null;
  const name = dscpName(value);
  return name.startsWith("DSCP") ? name : `${name} (${value})`;
}

const ECN_WORD = ["not ECT", "ECT(1)", "ECT(0)", "CE"] as const;

export const ecnText = (value: number | null): string | null => (value === null ? null : (ECN_WORD[value] ?? null));

/** What becomes of the class on the way. */
export function classText({ metrics }: Pick<Result, "metrics">): { tone: Tone; text: string } | null {
  const {
    qos_dscp_sent: sent,
    qos_bleached_at_hop: hop,
    qos_dscp_after: after,
    qos_preserved: preserved,
    qos_hops_checked: seen,
  } = metrics;
  const mark = known(sent) ? dscpText(sent) : null;
  if (mark === null) return null;
  if (known(hop)) {
    const became = known(after) ? `arrives as ${dscpText(after)}` : "arrives changed";
    return { tone: "warn", text: `${mark} ${became} at hop ${hop}: something before it rewrote the class.` };
  }
  if (preserved === true) {
    const hops = seen === 1 ? "the one hop" : `all ${seen} hops`;
    const where = known(seen) ? ` at ${hops} that could be seen` : "";
    return { tone: "ok", text: `${mark} is kept${where}.` };
  }
  return null;
}

/** Whether the target and the path take ECN. */
export function ecnVerdict({ metrics }: Pick<Result, "metrics">): { tone: Tone; text: string } | null {
  const { ecn_capable: capable, ecn_blocked: blocked, ecn_cleared_at_hop: cleared } = metrics;
  if (blocked === true)
    return {
      tone: "bad",
      text: "Handshakes that offer ECN vanish, while others are answered: something on the path blocks ECN.",
    };
  if (known(cleared)) return { tone: "warn", text: `The ECN bits are cleared before hop ${cleared}.` };
  if (capable === true) return { tone: "ok", text: "The destination negotiates ECN." };
  return capable === false
    ? { tone: "ok", text: "The destination does not negotiate ECN; the path lets the offer through." }
    : null;
}

const RANK: Record<Tone, number> = { bad: 3, warn: 2, ok: 1, none: 0 };

export function qosVerdict(result: Pick<Result, "metrics" | "destination" | "status" | "error">): { tone: Tone; text: string } {
  const { metrics, destination, status, error } = result;
  const { qos_worst_class: worst, qos_rtt_spread_ms: spread } = metrics;
  const unfair =
    typeof worst === "string" ? { tone: "warn" as const, text: `${worst} is treated worse than the other classes.` } : null;
  const parts = [classText(result), ecnVerdict(result), unfair].filter((part) => part !== null);
  const rest = error ? ` ${sentence(error.message)}` : "";
  if (parts.length === 0) {
    const figure = known(spread) ? ` Classes differ by ${formatText("qos_rtt_spread_ms", spread)}.` : "";
    return {
      tone: status === "ok" ? "ok" : "warn",
      text: `What becomes of traffic classes on the way to ${inSentence(destination)} was not seen.${figure}${rest}`,
    };
  }
  const tone = parts.reduce<Tone>((worse, part) => (RANK[part.tone] > RANK[worse] ? part.tone : worse), error ? "warn" : "ok");
  return { tone, text: `To ${inSentence(destination)}: ${parts.map(({ text }) => text).join(" ")}${rest}` };
}

const hopSchema = z.object({
  ttl: z.number().int().min(1).max(255),
  addr: textOrNull,
  /** As the hop saw it arrive; null where it quoted nothing. */
  dscp: numberOrNull,
  ecn: numberOrNull,
});
export type MarkedHop = z.output<typeof hopSchema>;

const LONGEST_PATH = 64;

export const markedHops = ({ detail }: Pick<Result, "detail">): MarkedHop[] =>
  listOf(detail.hops, hopSchema, LONGEST_PATH).sort((a, b) => a.ttl - b.ttl);

const classSchema = z.object({
  dscp: z.number().int().min(0).max(63),
  sent: numberOrNull,
  received: numberOrNull,
  rtt_min: numberOrNull,
  rtt_median: numberOrNull,
  rtt_max: numberOrNull,
  loss_pct: numberOrNull,
});
export type ClassFigures = z.output<typeof classSchema>;

export const classesOf = ({ detail }: Pick<Result, "detail">): ClassFigures[] => listOf(detail.classes, classSchema, 16);

const changeSchema = z.object({ at_hop: z.number().int().min(1).max(255) });

/** The hops that see another class, or other ECN bits, than the one before them. */
export function changedAt({ detail }: Pick<Result, "detail">): { dscp: number | null; ecn: number | null } {
  const hop = (change: unknown) => changeSchema.safeParse(change).data?.at_hop ?? null;
  return { dscp: hop(detail.dscp_change), ecn: hop(detail.ecn_change) };
}
