// The seconds of a stream, from the columns a run keeps.
import { z } from "zod";
import type { Result } from "#contract/result";
import { numberOrNull } from "./read.ts";

/** A run lasts 300 s at most. */
const LONGEST = 300;

const column = z.array(numberOrNull).max(LONGEST).catch([]);
const seriesSchema = z.object({
  sent: column,
  received: column,
  lost_up: column,
  lost_down: column,
  rtt_median: column,
  rtt_max: column,
});

export interface StreamSecond {
  readonly sent: number | null;
  readonly received: number | null;
  readonly lostUp: number | null;
  readonly lostDown: number | null;
  readonly rttMedian: number | null;
  readonly rttMax: number | null;
}

const positive = (value: number | null | undefined) => (value === null || value === undefined || value < 0 ? null : value);

/** Empty where the run kept none; a single second is no strip. */
export function secondsOf({ detail }: Pick<Result, "detail">): StreamSecond[] {
  const parsed = seriesSchema.safeParse(detail.series);
  if (!parsed.success) return [];
  const { sent, received, lost_up, lost_down, rtt_median, rtt_max } = parsed.data;
  if (sent.length < 2) return [];
  return sent.map((count, index) => ({
    sent: positive(count),
    received: positive(received[index]),
    lostUp: positive(lost_up[index]),
    lostDown: positive(lost_down[index]),
    rttMedian: positive(rtt_median[index]),
    rttMax: positive(rtt_max[index]),
  }));
}
