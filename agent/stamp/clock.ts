// Clocks of a STAMP run: the wall clock as a run needs it, and what this host knows about its own clock's error.
import { performance } from "node:perf_hooks";
import { findTool, runTool } from "../exec.ts";
import { CHRONYC, NTPQ, type SyncState, TIMEDATECTL } from "../parsers/clock-sync.ts";
import type { ErrorEstimate } from "./packet.ts";

/** A wall clock that only runs forward: what is set or stepped meanwhile does not move it. */
export interface WallClock {
  /** Epoch milliseconds, to a microsecond. */
  now(): number;
  /** How far the system's clock has been set since the start, ms; 0 where it is the same to Date.now's resolution. */
  stepped(): number;
}

/** Date.now() counts whole milliseconds, and the two clocks are not read in the same instant. */
const STEP_MS = 2;
/** An edge of the system clock comes within a millisecond; one that stands still is not waited for. */
const EDGE_MS = 3;

/** Starts a wall clock at the system's time, aligned at an edge of its milliseconds: this takes up to one of them. */
export function startWallClock(): WallClock {
  const began = performance.now();
  const before = Date.now();
  let epoch = before;
  let mark = began;
  while (epoch === before && mark - began < EDGE_MS) {
    epoch = Date.now();
    mark = performance.now();
  }
  const origin = epoch - mark;
  const now = () => origin + performance.now();
  return {
    now,
    stepped: () => {
      const apart = Date.now() - now();
      return Math.abs(apart) <= STEP_MS ? 0 : apart;
    },
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
