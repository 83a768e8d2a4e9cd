// The narrowband E-model, ITU-T G.107 (06/2015), for what can be measured from outside: delay, loss, its bursts, the codec. Pure.
// The agent rates calls by it, the dashboard shows by it where the points went.
//
// R = Ro − Is − Id − Ie,eff + A (7-1). Everything about handsets, rooms and lines stays at the defaults of table 3, which give
// Ro − Is = 93.2 (7.7). Echo is taken as cancelled, so Id is Idd alone, and no advantage A is granted for mobility.

/** The edition computed here, as results name it. */
export const E_MODEL = "ITU-T G.107 (06/2015)";

/** R of a connection with every parameter at its default (G.107 7.7). */
export const R_DEFAULT = 93.2;
/** Least delay people notice, ms, and the exponent of the default class of delay sensitivity (G.107 table 1: mT, 6 · sT). */
const NOTICEABLE_MS = 100;
const SENSITIVITY = 6;

export interface Impairments {
  /** Mouth-to-ear delay Ta, ms. */
  readonly delay_ms: number;
  /** Packets that were not played, lost or late, Ppl, percent. */
  readonly loss_pct: number;
  /** BurstR; random loss is 1, and nothing below it has a meaning. */
  readonly burst_ratio: number;
  /** The codec's equipment impairment Ie and packet-loss robustness Bpl (ITU-T G.113 Appendix I). */
  readonly ie: number;
  readonly bpl: number;
}

/** Idd: what delay alone costs (G.107 7-27, 7-28). */
export function delayImpairment(delay_ms: number): number {
  if (delay_ms <= NOTICEABLE_MS) return 0;
  const x = Math.log2(delay_ms / NOTICEABLE_MS);
  const norm = (value: number) => (1 + value ** SENSITIVITY) ** (1 / SENSITIVITY);
  return 25 * (norm(x) - 3 * norm(x / 3) + 2);
}

/** Ie,eff: what the codec costs with this loss (G.107 7-29). */
export function equipmentImpairment({ ie, bpl, loss_pct, burst_ratio }: Omit<Impairments, "delay_ms">): number {
  return ie + ((95 - ie) * loss_pct) / (loss_pct / Math.max(1, burst_ratio) + bpl);
}

/** Whether BurstR may be used: it was only found valid for codecs that conceal well (G.113 Appendix I); for others loss counts as random. */
export const heedsBursts = ({ bpl }: Pick<Impairments, "bpl">): boolean => bpl >= 16;

/** The transmission rating factor R, 0 to 93.2. */
export function ratingOf(impairments: Impairments): number {
  return Math.max(0, R_DEFAULT - delayImpairment(impairments.delay_ms) - equipmentImpairment(impairments));
}

/** MOS-CQE of a rating (G.107 B-4); below R = 6.5 its cubic would leave the scale, which ends at 1. */
export function mosOf(rating: number): number {
  if (rating <= 0) return 1;
  if (rating >= 100) return 4.5;
  return Math.max(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6);
}

/** Lower limits of R and what users say (G.107 table B.1, ITU-T G.109). */
const SATISFACTION = [
  [90, "very satisfied"],
  [80, "satisfied"],
  [70, "some users dissatisfied"],
  [60, "many users dissatisfied"],
  [50, "nearly all users dissatisfied"],
] as const;

export type Satisfaction = (typeof SATISFACTION)[number][1] | "not recommended";

/** How satisfied users are with a connection of this rating. */
export function satisfactionOf(rating: number): Satisfaction {
  return SATISFACTION.find(([limit]) => rating >= limit)?.[1] ?? "not recommended";
}
