// One cursor for every chart of a page.
import { signal } from "@preact/signals";

/** Epoch ms under the pointer; null when it is on no chart. */
export const cursor = signal<number | null>(null);

/** Index of the point at `t`: the last one that started before it, if it is no further than `reachMs` away; -1 if none. */
export function pointAt(points: readonly { readonly t: number }[], t: number, reachMs: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.t ?? Number.POSITIVE_INFINITY) <= t) low = middle + 1;
    else high = middle;
  }
  const found = points[low - 1];
  return found && t - found.t <= reachMs ? low - 1 : -1;
}
