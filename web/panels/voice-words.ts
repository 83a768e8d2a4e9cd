// A call in words: how satisfied people would be (ITU-T G.107 Annex B), and what took points away.
import { z } from "zod";
import { delayImpairment, equipmentImpairment, heedsBursts, R_DEFAULT, satisfactionOf } from "#contract/e-model";
import type { Result } from "#contract/result";
import { formatNumber, formatPercent, formatText, inSentence, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import { flagOrNull, textOrNull, wordOf } from "./read.ts";

const known = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** "very satisfied"; null where there is no rating. */
export function satisfaction(rating: unknown): string | null {
  return known(rating) ? satisfactionOf(rating) : null;
}

const WELL_FROM = 80;
const POOR_BELOW = 60;

export function ratingTone(rating: unknown): Tone {
  if (!known(rating)) return "none";
  return rating >= WELL_FROM ? "ok" : rating >= POOR_BELOW ? "warn" : "bad";
}

const CODEC: Readonly<Record<string, string>> = {
  g711: "G.711",
  g729: "G.729",
  "g711-noplc": "G.711 without loss concealment",
  "g723.1": "G.723.1",
  "gsm-efr": "GSM EFR",
};

export const codecWord = (codec: unknown): string | null => (typeof codec === "string" ? (wordOf(CODEC, codec) ?? codec) : null);

/** The direction people would complain of first; null while both are alike or unknown. */
function worseWay({ voip_r_up: up, voip_r_down: down }: Result["metrics"]): string | null {
  if (!known(up) || !known(down) || Math.abs(up - down) < 1) return null;
  return up < down ? "the far end hears it worse" : "this end hears it worse";
}

export function voiceVerdict({
  metrics,
  destination,
  status,
  error,
}: Pick<Result, "metrics" | "destination" | "status" | "error">): {
  tone: Tone;
  text: string;
} {
  const { voip_mos_est: mos, voip_r_factor: rating } = metrics;
  const rest = error ? ` ${sentence(error.message)}` : "";
  if (!known(mos))
    return {
      tone: status === "ok" ? "none" : "warn",
      text: `How a call with ${inSentence(destination)} would sound is not known.${rest}`,
    };
  const parts = [satisfaction(rating), worseWay(metrics)].filter((part) => part !== null);
  const say = parts.length === 0 ? "" : `: ${parts.join("; ")}`;
  const text = `A call with ${inSentence(destination)} has an estimated MOS of ${formatNumber(mos)}${say}.${rest}`;
  const tone = ratingTone(rating);
  return { tone: tone === "ok" && error ? "warn" : tone, text };
}

export const DIRECTIONS = ["up", "down"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** What took points of R from one direction. */
export interface Taken {
  readonly what: string;
  readonly points: number;
  readonly why: string;
}

const codecSchema = z.object({
  label: textOrNull,
  ie: z.number().min(0).max(95),
  bpl: z.number().positive().max(1000),
  provisional: flagOrNull,
});
const waySchema = z.object({ mouth_to_ear_ms: z.number().min(0).max(60_000) });

export const codecOf = ({ detail }: Pick<Result, "detail">) => codecSchema.safeParse(detail.codec).data ?? null;

/** Where the parts and the rating disagree by more, the run was rated in a way this page does not know. */
const ROUNDING = 0.5;

/** What took points from one direction, the most first; null where the run does not say enough to tell. */
export function takenAway(result: Pick<Result, "metrics" | "detail">, way: Direction): Taken[] | null {
  const { metrics, detail } = result;
  const codec = codecOf(result);
  const delay = waySchema.safeParse(detail[way]).data?.mouth_to_ear_ms;
  const rating = metrics[`voip_r_${way}`];
  const lost = metrics[`voip_loss_${way}_pct`];
  const unplayed = metrics[`voip_effective_loss_${way}_pct`];
  const burst = metrics[`voip_burst_ratio_${way}`];
  if (codec === null || delay === undefined || !known(rating) || !known(lost) || !known(unplayed)) return null;
  const burst_ratio = known(burst) && heedsBursts(codec) ? burst : 1;
  const { ie, bpl } = codec;
  const costs = (loss_pct: number) => equipmentImpairment({ ie, bpl, burst_ratio, loss_pct: Math.max(0, loss_pct) });
  const [afterLoss, afterAll] = [costs(lost), costs(unplayed)];
  const idd = delayImpairment(delay);
  const away = R_DEFAULT - idd - afterAll;
  if (Math.abs(Math.max(0, away) - rating) > ROUNDING) return null;
  const late = metrics[`voip_late_${way}_pct`];
  const taken: Taken[] = [
    { what: "Delay", points: idd, why: `${formatText("voip_one_way_delay_est_ms", delay)} from mouth to ear` },
    { what: "Loss", points: afterLoss - codec.ie, why: `${formatPercent(lost)} % of packets` },
    { what: "Too late", points: afterAll - afterLoss, why: known(late) ? `${formatPercent(late)} % of packets` : "" },
    { what: "Codec", points: codec.ie, why: codecWord(metrics.voip_codec) ?? "" },
  ];
  return taken.filter(({ points }) => points >= 0.05).sort((a, b) => b.points - a.points);
}
