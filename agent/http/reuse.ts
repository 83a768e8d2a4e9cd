// A second request on the connection of the first: whether the server takes it, and how fast it answers without handshakes.
import type { Reason } from "#contract/metrics";
import type { Budget } from "../budget.ts";
import { round3 } from "../statistics.ts";
import type { Journey } from "./journey.ts";
import { requestOf } from "./visit.ts";

export interface Reuse {
  /** Null with its reason when it was not measured. */
  readonly reused: boolean | null;
  readonly ttfb_ms: number | null;
  readonly reason: Reason;
}

const skipped: Reuse = { reused: null, ttfb_ms: null, reason: "not_applicable" };

/** Time kept beyond what the first request took, milliseconds. */
const SPARE_MS = 50;

/** Repeats the request on its own connection, when there is time for it and the body is not large. Never rejects. */
export async function measureReuse(journey: Journey, budget: Budget): Promise<Reuse> {
  const { connection, exchange, clock } = journey.last;
  if (connection === null || exchange === null || !exchange.complete) return skipped;
  const { max_bytes, reuse } = journey.order.params;
  if (!reuse || exchange.body.length > max_bytes / 2) return skipped;
  // The server closes the connection: that is the answer, and it costs no request.
  if (!exchange.reusable) return { reused: false, ttfb_ms: null, reason: "not_applicable" };
  const start = clock.asked ?? clock.begun;
  const took = (exchange.last ?? start) - start;
  if (budget.left() < 2 * took + SPARE_MS) return skipped;
  const part = budget.part("reuse", budget.left(), SPARE_MS / 2);
  const begun = performance.now();
  const again = await connection.exchange(requestOf(journey.order), part.signal);
  const stopped = part.signal.aborted;
  if (again.first === null) {
    if (stopped) budget.hit(part.name);
    return stopped
      ? { reused: null, ttfb_ms: null, reason: "timeout" }
      : { reused: false, ttfb_ms: null, reason: "not_applicable" };
  }
  return { reused: true, ttfb_ms: round3(again.first - begun), reason: "not_applicable" };
}
