// When a client reached nothing at all: from its host samples, and from the runs that fell into that time.
import type { Result } from "#contract/result";
import { notMeasured } from "./not-measured.ts";
import { sinceText } from "./time.ts";

/** A stretch of time, epoch ms. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A host sample: how many of the seconds since the one before it were cut off. */
export interface CutOffSample {
  readonly t: number;
  readonly seconds: number;
}

/** Samples and runs further apart belong to different outages, and so do those with a sample between them that was not cut off. */
const JOIN_MS = 150_000;

/** Where a sample's seconds lie: after the sample before, if that was cut off already, else right before this one. */
function ofSamples(samples: readonly CutOffSample[]): Span[] {
  const ordered = samples.toSorted((a, b) => a.t - b.t);
  return ordered.flatMap(({ t, seconds }, index) => {
    if (!(seconds > 0)) return [];
    const before = ordered[index - 1];
    const from = before !== undefined && before.seconds > 0 ? before.t : t - seconds * 1000;
    return [{ from, to: Math.min(t, from + seconds * 1000) }];
  });
}

function ofResult(result: Pick<Result, "started_at" | "duration_ms" | "status" | "error">): Span[] {
  if (notMeasured(result)?.code !== "cut_off") return [];
  const from = Date.parse(result.started_at);
  return [{ from, to: from + result.duration_ms }];
}

/** Every outage there is a trace of, oldest first. */
export function cutOffSpans(
  samples: readonly CutOffSample[],
  results: readonly Pick<Result, "started_at" | "duration_ms" | "status" | "error">[],
): Span[] {
  const seen = [...ofSamples(samples), ...results.flatMap(ofResult)];
  const good = samples.filter(({ seconds }) => !(seconds > 0)).map(({ t }) => t);
  const spans: Span[] = [];
  for (const span of seen.toSorted((a, b) => a.from - b.from)) {
    const last = spans.at(-1);
    const between = last !== undefined && good.some((t) => t > last.to && t < span.from);
    if (last && !between && span.from - last.to <= JOIN_MS)
      spans[spans.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else spans.push(span);
  }
  return spans;
}

/** "reached nothing from 12:03 to 12:10: its own line was cut" */
export function cutOffText({ from, to }: Span, now: number): string {
  const [begin, end] = [sinceText(from, now), sinceText(to, now)];
  const when = begin === end ? `at ${begin}` : `from ${begin} to ${end}`;
  return `reached nothing ${when}: its own line was cut`;
}
