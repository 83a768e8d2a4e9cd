// Results of an agent that has not yet heard from its server carry the wall clock, which may be wrong, and a mark. When the
// server has told the time, whatever of this process still waits in the outbox is given its true time as it leaves: marks are
// read item by item in each upload, so nothing is rewritten on disk, and an item sent again gets the same time again.
// What an earlier process left keeps its time: nobody can tell how its clock stood.
import { z } from "zod";
import { AGREES_MS, type HostClock, hostClock, type Moment } from "./host-clock.ts";

const KEY = "clock_mark";
const CORRECTED = "clock_corrected";
/** Flags an item may have. */
const FLAGS_MOST = 16;

const itemSchema = z.object({
  started_at: z.number(),
  flags: z.array(z.string()),
  detail: z.object({ [KEY]: z.object({ of: z.string(), at: z.number() }) }).loose(),
});

/** An item's detail with the mark of its beginning, where it has one. */
export const markedDetail = <Detail extends object>(detail: Detail, { mark }: Moment): Detail =>
  mark === undefined ? detail : { ...detail, [KEY]: mark };

/** The item as it leaves: without its mark, and at its true time where the mark says that the wall clock was wrong. */
export function atTrueTime(item: Record<string, unknown>, clock: HostClock = hostClock): Record<string, unknown> {
  const marked = itemSchema.safeParse(item);
  if (!marked.success) return item;
  const { started_at, flags, detail } = marked.data;
  const { [KEY]: mark, ...rest } = detail;
  const time = clock.timeOf(mark);
  if (time === undefined || Math.abs(time - started_at) <= AGREES_MS) return { ...item, detail: rest };
  return { ...item, started_at: time, flags: [...flags.slice(0, FLAGS_MOST - 1), CORRECTED], detail: rest };
}
