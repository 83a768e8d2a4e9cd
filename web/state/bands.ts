// Stretches of a chart in which the measuring host explains the figures, from the flags of runs and the marks of a series.
import type { SeriesReply } from "#contract/api";
import { HOST_FLAG_NAMES, HOST_FLAGS, type HostFlagName, isHostFlag } from "#contract/flags";

export interface Band {
  readonly flag: HostFlagName;
  readonly from: number;
  readonly to: number;
}

/** Stands in a band that is too narrow for words, and beside them in the legend. */
const LETTERS: Record<HostFlagName, string> = {
  host_overloaded: "H",
  host_suspended: "S",
  clock_step: "C",
  clock_corrected: "K",
  link_busy: "L",
  own_load: "B",
  cut_off: "X",
};

export const bandLetter = (flag: HostFlagName) => LETTERS[flag];
export const bandLabel = (flag: HostFlagName): string => HOST_FLAGS[flag].label;
export const bandMeaning = (flag: HostFlagName): string => HOST_FLAGS[flag].meaning;

export type Marks = SeriesReply["marks"];

/** The buckets of marks, each as long as the series' resolution. */
export const bandsOfMarks = (marks: Marks, resolutionS: number): Band[] =>
  marks.flatMap(({ flag, t }) => (isHostFlag(flag) ? t.map((from) => ({ flag, from, to: from + resolutionS * 1000 })) : []));

interface Flagged {
  readonly started_at: string;
  readonly duration_ms: number;
  readonly flags: readonly string[];
}

/** The runs or host samples that carry a flag of the host. */
export const bandsOfItems = (items: readonly Flagged[]): Band[] =>
  items.flatMap(({ started_at, duration_ms, flags }) => {
    const from = Date.parse(started_at);
    return flags.filter(isHostFlag).map((flag) => ({ flag, from, to: from + duration_ms }));
  });

/** Bands of one flag that touch, or are at most `stepMs` apart with no run or sample between them (`times`), become one. */
export function mergeBands(bands: readonly Band[], stepMs: number, times: readonly number[] = []): Band[] {
  const merged: Band[] = [];
  const last = new Map<HostFlagName, number>();
  for (const band of bands.toSorted((a, b) => a.from - b.from)) {
    const index = last.get(band.flag);
    const before = index === undefined ? undefined : merged[index];
    const isApart = before !== undefined && times.some((t) => t >= before.to && t < band.from);
    if (index !== undefined && before !== undefined && !isApart && band.from - before.to <= stepMs) {
      merged[index] = { ...before, to: Math.max(before.to, band.to) };
      continue;
    }
    last.set(band.flag, merged.push(band) - 1);
  }
  return merged;
}

/** Which flags stand at a moment; a short run is found as far as the next one. */
export const flagsAt = (bands: readonly Band[], t: number, stepMs: number): HostFlagName[] =>
  inOrder(bands.filter(({ from, to }) => t >= from && t <= Math.max(to, from + stepMs)));

/** Which flags stand somewhere in the view. */
export const flagsIn = (bands: readonly Band[], from: number, to: number): HostFlagName[] =>
  inOrder(bands.filter((band) => band.to >= from && band.from <= to));

function inOrder(bands: readonly Band[]): HostFlagName[] {
  const present = new Set(bands.map(({ flag }) => flag));
  return HOST_FLAG_NAMES.filter((flag) => present.has(flag));
}

/** A result's flags for people: those of the host by their label, a type's own as they are. */
export const flagWord = (flag: string): string => (isHostFlag(flag) ? bandLabel(flag) : flag.replaceAll("_", " "));

/** What a flag of the host means; undefined for one that only its test type knows. */
export const flagMeaning = (flag: string): string | undefined => (isHostFlag(flag) ? bandMeaning(flag) : undefined);
