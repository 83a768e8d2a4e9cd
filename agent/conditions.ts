// The conditions of the measuring host around every run: clocks that were set, sleep, a lack of processor time, a full line.
// They are looked at when a run begins and ends, and every two seconds in between; nothing runs while nothing is measured.
import { setTimeout as pause } from "node:timers/promises";
import type { HostFlagName } from "#contract/flags";
import { isUnmeasured } from "#contract/result";
import type { TestTypeName } from "#contract/test-types/index";
import { cutInTwo, type Unsureness, withoutJump, withoutLate } from "./distortion.ts";
import { type ClockHistory, type HostClock, hostClock } from "./host-clock.ts";
import { delayed, isOverloaded, type Load, type LoadLook, loadBetween, lookAtLoad, WINDOW_MS } from "./host-load.ts";
import { type BusyLine, busyBetween, Lines } from "./line-load.ts";
import { LoadHistory, type Window } from "./load-history.ts";
import { type Lateness, LoopWatch } from "./loop-watch.ts";
import type { Outcome } from "./probes/probe.ts";
import { round3 } from "./statistics.ts";

/** In a run as short as this the loop ticks hardly ever: what it waited for a processor tells of its lateness, ms. */
const TICKLESS_MS = 60;
/** Of fewer times than this, one is the median, or half of it. */
const SEVERAL = 3;
const OWN_LOAD: HostFlagName = "own_load";

/** The parts of the host that are looked at, so that tests can bring their own. */
export interface ConditionsParts {
  readonly clock: HostClock;
  readonly lines: Lines;
  readonly history: (lines: Lines) => LoadHistory;
  readonly loop: (onTick: () => void) => LoopWatch;
  /** What the event loop waited for a processor so far, ms. */
  readonly delayed: () => number | undefined;
  readonly pause: (ms: number, stop: AbortSignal) => Promise<void>;
}

/** What a run is, as far as its conditions are concerned. */
export interface WatchedRun {
  readonly type: TestTypeName;
  readonly destination: string;
  /** Times that a median is taken of. */
  readonly samples: number;
}

/** A run under watch. */
export interface Watched {
  /** What the run times itself begins now. */
  measuring(): void;
  /** Its outcome with what the host had to do with it; comes up to half a second late where that has to be looked at longer. */
  over(outcome: Outcome, stop: AbortSignal): Promise<Outcome>;
}

/** What was seen of a run's conditions. */
interface Seen {
  readonly run: WatchedRun;
  readonly before: ClockHistory;
  readonly after: ClockHistory;
  readonly lateness: Lateness;
  readonly waited_ms: number;
  readonly overload: Load | undefined;
  readonly busy: BusyLine | undefined;
}

export class Conditions {
  readonly #clock: HostClock;
  readonly #lines: Lines;
  readonly #history: LoadHistory;
  readonly #loop: LoopWatch;
  readonly #parts: Pick<ConditionsParts, "delayed" | "pause">;
  /** When a run that filled the line ended last, by the monotonic clock. */
  #filledUntil = Number.NEGATIVE_INFINITY;
  /** What the last host sample saw. */
  #sampled: { readonly clock: ClockHistory; readonly standstills: number; readonly load: LoadLook } | undefined;

  constructor(parts: Partial<ConditionsParts> = {}) {
    this.#clock = parts.clock ?? hostClock;
    this.#lines = parts.lines ?? new Lines();
    this.#history = parts.history?.(this.#lines) ?? new LoadHistory(this.#lines);
    const onTick = () => this.#history.tick();
    this.#loop = parts.loop?.(onTick) ?? new LoopWatch(onTick);
    this.#parts = { delayed, pause: waitOrStop, ...parts };
  }

  /** Clock steps, sleeps and standstills since the process began. */
  get timeJumps(): number {
    const { steps, sleeps } = this.#clock.history;
    return steps + sleeps + this.#loop.standstills;
  }

  /** A timer that belongs to no run came this late, ms. */
  late(ms: number): void {
    this.#loop.late(ms);
  }

  /** What the host sample that is taken now has to say of the time since the last one. */
  sampleFlags(): HostFlagName[] {
    const [now, jumps, load] = [this.#clock.history, this.#loop.standstills, lookAtLoad()];
    const last = this.#sampled;
    this.#sampled = { clock: now, standstills: jumps, load };
    const flags: HostFlagName[] = [];
    const between = last === undefined ? undefined : loadBetween(last.load, load);
    if (between !== undefined && between.window_ms >= WINDOW_MS && isOverloaded(between)) flags.push("host_overloaded");
    if (now.steps > (last?.clock.steps ?? 0)) flags.push("clock_step");
    if (now.sleeps > (last?.clock.sleeps ?? 0) || jumps > (last?.standstills ?? 0)) flags.push("host_suspended");
    if (this.#clock.corrected) flags.push("clock_corrected");
    return flags;
  }

  /** A run begins. */
  watch(run: WatchedRun): Watched {
    const begunAt = this.#history.begin();
    const before = this.#clock.history;
    const watch = this.#loop.begin();
    let waitedBefore: number | undefined;
    return {
      measuring: () => {
        watch.measuring();
        waitedBefore = this.#parts.delayed();
      },
      over: async (outcome, stop) => {
        const lateness = this.#loop.end(watch);
        const waited_ms = waitedBefore === undefined ? 0 : (this.#parts.delayed() ?? waitedBefore) - waitedBefore;
        const after = this.#clock.history;
        const longer = this.#history.missing(begunAt);
        if (longer > 0 && !stop.aborted) await this.#parts.pause(longer, stop);
        const windows = this.#history.windows(begunAt);
        this.#history.end(begunAt);
        const overload = mostLoaded(windows);
        const busy = this.#busiest(run, outcome, windows);
        this.#learn(run, outcome, windows);
        return judged(outcome, { run, before, after, lateness, waited_ms, overload, busy }, this.#clock);
      },
    };
  }

  /** A line filled by others; what this agent's own bandwidth test moved is told by own_load, and its own figures judge it. */
  #busiest(run: WatchedRun, outcome: Outcome, windows: readonly Window[]): BusyLine | undefined {
    if (run.type === "bandwidth" || outcome.flags.includes(OWN_LOAD)) return undefined;
    const name = this.#lines.interfaceTo(outcome.address);
    if (name === undefined) return undefined;
    const capacity = this.#lines.capacity(name);
    const lines = windows.flatMap(([{ line: from }, { line: to }]) => {
      if (from === undefined || to === undefined || from.at < this.#filledUntil) return [];
      return busyBetween(from, to, name, capacity) ?? [];
    });
    return lines.sort((a, b) => b.mbps / b.capacity_mbps - a.mbps / a.capacity_mbps)[0];
  }

  /** What a bandwidth test moved is what the line can carry, as far as this host knows. */
  #learn({ type, destination }: WatchedRun, { status, address, metrics }: Outcome, windows: readonly Window[]): void {
    if (type !== "bandwidth") return;
    this.#filledUntil = windows.at(-1)?.[1].load.at ?? this.#filledUntil;
    if (status !== "ok") return;
    const rate = (value: unknown) => (typeof value === "number" ? value : null);
    this.#lines.measured(destination, address, { rx: rate(metrics.bw_down_mbps), tx: rate(metrics.bw_up_mbps) });
  }
}

async function waitOrStop(ms: number, signal: AbortSignal): Promise<void> {
  // The only way a pause fails is its signal, after which nobody waits for the verdict.
  await pause(ms, undefined, { signal }).catch(() => undefined);
}

/** The window in which the host had least to spare, if it had too little in any. */
function mostLoaded(windows: readonly Window[]): Load | undefined {
  const loads = windows.flatMap(([from, to]) => loadBetween(from.load, to.load) ?? []);
  return loads.filter(isOverloaded).sort((a, b) => (b.waiting_pct ?? 0) - (a.waiting_pct ?? 0) || a.idle_pct - b.idle_pct)[0];
}

/** How far a time that this process took may be off. A median hides what was late less than half the time. */
function unsurenessOf({ run, lateness, waited_ms }: Seen): Unsureness {
  const { worst_ms, sum_ms, timed_ms } = lateness;
  const single_ms = timed_ms < TICKLESS_MS ? Math.max(worst_ms, waited_ms) : worst_ms;
  if (run.samples < SEVERAL) return { single_ms, central_ms: single_ms };
  return { single_ms, central_ms: Math.min(single_ms, Math.max(sum_ms, waited_ms) / run.samples) };
}

/** The outcome with its flags, without the values that the host distorted, and with the evidence in detail.conditions. */
function judged(outcome: Outcome, seen: Seen, clock: HostClock): Outcome {
  const { run, before, after, lateness, overload, busy } = seen;
  const flags: HostFlagName[] = [];
  const evidence: Record<string, unknown> = {};
  const unsure = unsurenessOf(seen);
  const { outcome: sure, names } = withoutLate(run.type, outcome, unsure);
  let told = sure;
  if (names.length > 0) Object.assign(evidence, { late_ms: round3(unsure.single_ms), late_each_ms: round3(unsure.central_ms) });
  if (overload !== undefined || names.length > 0) flags.push("host_overloaded");
  if (overload !== undefined) Object.assign(evidence, roundedLoad(overload));
  if (after.steps > before.steps) {
    flags.push("clock_step");
    evidence.clock_stepped_ms = Math.round(after.stepped_ms - before.stepped_ms);
    told = withoutJump(run.type, told);
  }
  const away_ms = Math.max(after.slept_ms - before.slept_ms, lateness.stood_ms);
  if (away_ms > 0) {
    flags.push("host_suspended");
    evidence.away_ms = Math.round(away_ms);
    if (!isUnmeasured(told)) told = cutInTwo(run.type, told, away_ms);
  }
  if (clock.corrected) {
    flags.push("clock_corrected");
    evidence.clock_offset_ms = clock.offset;
  }
  if (busy !== undefined) {
    flags.push("link_busy");
    evidence.line = { ...busy, mbps: round3(busy.mbps) };
  }
  if (Object.keys(evidence).length === 0) return told;
  const fresh = flags.filter((flag) => !told.flags.includes(flag));
  return { ...told, flags: [...told.flags, ...fresh], detail: { ...told.detail, conditions: evidence } };
}

function roundedLoad({ window_ms, ...shares }: Load): Record<string, number | null> {
  const rounded = Object.entries(shares).map(([name, value]) => [name, value === null ? null : Math.round(value * 10) / 10]);
  return { window_ms: Math.round(window_ms), ...Object.fromEntries(rounded) };
}

/** This process's conditions. */
export const conditions = new Conditions();
