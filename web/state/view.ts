// The stretch of time a page shows. The page's URL is the view.

export const RANGES = {
  "5m": 300,
  "15m": 900,
  "1h": 3600,
  "6h": 21_600,
  "24h": 86_400,
  "7d": 604_800,
  "30d": 2_592_000,
} as const;
export type RangeName = keyof typeof RANGES;

export const RANGE_LABEL: Record<RangeName, string> = {
  "5m": "5 min",
  "15m": "15 min",
  "1h": "1 h",
  "6h": "6 h",
  "24h": "24 h",
  "7d": "7 d",
  "30d": "30 d",
};

/** A range that moves with time, or a fixed stretch chosen by hand. */
export type View =
  | { kind: "range"; range: RangeName; spanMs: number }
  | { kind: "fixed"; from: number; to: number; spanMs: number };

export function isRange(name: string | undefined): name is RangeName {
  return name !== undefined && Object.hasOwn(RANGES, name);
}

/** What to show first of something that is `ageMs` old: an hour, or closer while there is little to see. */
export function rangeForAge(ageMs: number): RangeName {
  if (ageMs < 4 * 60_000) return "5m";
  return ageMs < 20 * 60_000 ? "15m" : "1h";
}

export const rangeView = (range: RangeName): View => ({ kind: "range", range, spanMs: RANGES[range] * 1000 });

export function viewFromQuery(query: Readonly<Record<string, string>>, fallback: RangeName): View {
  const from = Date.parse(query.from ?? "");
  const to = Date.parse(query.to ?? "");
  if (Number.isFinite(from) && Number.isFinite(to) && to > from) return { kind: "fixed", from, to, spanMs: to - from };
  return rangeView(isRange(query.range) ? query.range : fallback);
}

export function queryOfView(view: View): Record<string, string | undefined> {
  if (view.kind === "range") return { range: view.range, from: undefined, to: undefined };
  return { range: undefined, from: new Date(view.from).toISOString(), to: new Date(view.to).toISOString() };
}

/** Start and end of the view at `now`. */
export function bounds(view: View, now: number): { from: number; to: number } {
  return view.kind === "fixed" ? { from: view.from, to: view.to } : { from: now - view.spanMs, to: now };
}

const RAW_LONGEST_MS = 2 * 3_600_000;

/** Whether every single result of the view fits on one page of `limit`. */
export function fitsRaw(view: View, intervalS: number, limit: number): boolean {
  return view.spanMs <= RAW_LONGEST_MS && view.spanMs / (intervalS * 1000) <= limit;
}
