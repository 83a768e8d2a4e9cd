// Clocks of a STAMP run: the wall clock as a run needs it, and what this host knows about its own clock's error.
import { performance } from "node:perf_hooks";
import { findTool, runTool } from "../exec.ts";
import { CHRONYC, NTPQ, type SyncState, TIMEDATECTL } from "../parsers/clock-sync.ts";
import type { ErrorEstimate } from "./packet.ts";

/** A wall clock that only runs forward: what is set or stepped meanwhile does not move it. */
export interface WallClock {
  /** Epoch milliseconds, to a microsecond. */
  now(): number;
  /** How far the system's clock has been set since the start, ms; 0 for less than half a millisecond. */
  stepped(): number;
  /** How exactly this clock is aligned to the system's, ms. */
  readonly error_ms: number;
}

/** Good enough, ms. */
const ALIGNED_MS = 0.01;
/** An edge of the system clock's milliseconds comes within one; it is not waited for much longer. */
const SPIN_MS = 3;
/** Where the two clocks are not disciplined together, they part slowly; that is no step. */
const STEP_MS = 0.5;

/** Epoch time of the monotonic clock's zero lies between. */
interface Bounds {
  low: number;
  high: number;
}

/** Reads both clocks; whatever holds this process up between the readings only widens the bounds. */
function narrow(bounds: Bounds): void {
  const before = performance.now();
  const epoch = Date.now();
  const after = performance.now();
  bounds.low = Math.max(bounds.low, epoch - after);
  // Date.now() is cut to whole milliseconds.
  bounds.high = Math.min(bounds.high, epoch + 1 - before);
}

const readBounds = (spin_ms: number): Bounds => {
  const bounds = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const end = performance.now() + spin_ms;
  do narrow(bounds);
  while (bounds.high - bounds.low > ALIGNED_MS && performance.now() < end);
  return bounds;
};

/** Starts a wall clock at the system's time, aligned at an edge of its milliseconds: this takes one of them. */
export function startWallClock(): WallClock {
  const start = readBounds(SPIN_MS);
  const origin = (start.low + start.high) / 2;
  return {
    now: () => origin + performance.now(),
    stepped: () => {
      const { low, high } = readBounds(0);
      const apart = low > start.high ? low - start.high : Math.min(0, high - start.low);
      return Math.abs(apart) < STEP_MS ? 0 : apart;
    },
    error_ms: Math.abs(start.high - start.low) / 2,
  };
}

const ASKED_MS = 1500;
const KNOWN_FOR_MS = 3_600_000;

let known: { at: number; state: Promise<SyncState | null> } | undefined;

/** Asks the first daemon that is installed and keeps this clock. */
async function askHost(): Promise<SyncState | null> {
  for (const { name, args, parse } of [CHRONYC, TIMEDATECTL, NTPQ]) {
    const file = findTool(name);
    if (file === undefined) continue;
    const run = await runTool({ file, args, timeout_ms: ASKED_MS, grace_ms: 200 });
    const state = run.code === 0 ? parse(run.stdout) : null;
    if (state !== null) return state;
  }
  return null;
}

/** Whether a daemon keeps this host's clock, and how well; asked once an hour. Null where none says so. */
export function hostSync(): Promise<SyncState | null> {
  const now = performance.now();
  if (known === undefined || now - known.at > KNOWN_FOR_MS) known = { at: now, state: askHost() };
  return known.state;
}

/** The Error Estimate for packets of this host: S only where a daemon vouches for the clock (RFC 4656 section 4.1.2). */
export function estimateOf(sync: SyncState | null): ErrorEstimate {
  return { synchronised: sync !== null, ptp: false, error_ms: sync?.error_ms ?? null };
}
