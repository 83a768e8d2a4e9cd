// How long to wait before the next try. Pure.
import { CADENCE } from "#contract/limits";

/** With everybody thrown out at once, the first tries spread over this many seconds. */
const SPREAD_S = 5;

/**
 * Milliseconds to wait before try `attempt` (0 is the first after a connection ended): within 1 s, then doubling to the
 * longest wait, half of it random. `spread` jitters all of it from the start, for when a whole fleet was thrown out.
 */
export function backoffMs(attempt: number, spread: boolean, random: () => number = Math.random): number {
  const limit = CADENCE.reconnectMaxS;
  const step = 2 ** Math.min(attempt, 10);
  if (spread) return Math.round(random() * Math.min(limit, SPREAD_S * step) * 1000);
  const wait = Math.min(limit, step) * 1000;
  return Math.round(attempt === 0 ? random() * wait : wait / 2 + random() * (wait / 2));
}
