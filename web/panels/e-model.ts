// What delay and packets not played cost a call in points of R, by ITU-T G.107 (06/2015): for showing where the points went.

/** R of a connection with every parameter at its default (G.107 7.7). */
export const R_BEST = 93.2;
/** Least delay people notice, ms, and the exponent of the default class of delay sensitivity (G.107 table 1). */
const NOTICEABLE_MS = 100;
const SENSITIVITY = 6;
/** From here on a codec conceals well enough for the burst ratio to be used (G.113 Appendix I). */
const CONCEALS_FROM_BPL = 16;

/** Idd (G.107 7-27, 7-28). Milliseconds from mouth to ear. */
export function delayPoints(delay_ms: number): number {
  if (delay_ms <= NOTICEABLE_MS) return 0;
  const x = Math.log2(delay_ms / NOTICEABLE_MS);
  const norm = (value: number) => (1 + value ** SENSITIVITY) ** (1 / SENSITIVITY);
  return 25 * (norm(x) - 3 * norm(x / 3) + 2);
}

export interface CodecFigures {
  readonly ie: number;
  readonly bpl: number;
}

/** Ie,eff (G.107 7-29): what the codec costs with this loss, percent; 0 leaves Ie. */
export function lossPoints({ ie, bpl }: CodecFigures, loss_pct: number, burst_ratio: number): number {
  const burst = bpl >= CONCEALS_FROM_BPL ? Math.max(1, burst_ratio) : 1;
  return loss_pct <= 0 ? ie : ie + ((95 - ie) * loss_pct) / (loss_pct / burst + bpl);
}
