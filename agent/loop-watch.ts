// How late this process looks at the network while something is measured. One timer serves all runs under way, and none runs
// between them. It ticks often at first and then ever less: a run is told of whatever held it up for more than about a third
// of the time it has lasted, and a run of many seconds costs next to nothing (a tick takes about 0.2 ms of a processor).
import { performance } from "node:perf_hooks";

/** Between the first ticks of a run that times something itself, ms; later this share of the time it has lasted. */
const FIRST_MS = 50;
const SHARE = 0.3;
const LONGEST_MS = 250;
/** Between ticks where only a standstill matters, ms. */
const CALM_MS = 2000;
/** A loop that stood still for this long was stopped, or the host slept: no load does that, ms. */
export const STANDSTILL_MS = 5000;

/** Time and timers, so that tests can bring their own. */
export interface LoopTimers {
  now(): number;
  after(ms: number, call: () => void): () => void;
}

export const loopTimers: LoopTimers = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** One run's share of what was seen. Milliseconds. */
export interface Lateness {
  /** The worst delay of a tick since the run began to time. */
  readonly worst_ms: number;
  /** All delays together. */
  readonly sum_ms: number;
  /** Time the loop stood still for STANDSTILL_MS or longer, since the run began. */
  readonly stood_ms: number;
  /** How long the run has timed; 0 for one that times nothing. */
  readonly timed_ms: number;
}

export class LoopWatch {
  readonly #timers: LoopTimers;
  readonly #watches = new Set<Watch>();
  readonly #onTick: () => void;
  #cancel: () => void = () => {};
  #tickedAt = 0;
  #dueAt = 0;
  #stoodUntil = Number.NEGATIVE_INFINITY;
  /** Standstills seen. */
  standstills = 0;

  /** `onTick` is called at every tick, for whatever else is looked at while runs are under way. */
  constructor(onTick: () => void = () => {}, timers: LoopTimers = loopTimers) {
    this.#onTick = onTick;
    this.#timers = timers;
  }

  begin(): Watch {
    const watch = new Watch(this.#timers.now(), (each) => this.#attend(each));
    if (this.#watches.size === 0) this.#plan();
    this.#watches.add(watch);
    return watch;
  }

  /** What the run saw; it is watched no more. */
  end(watch: Watch): Lateness {
    const now = this.#timers.now();
    this.#see(now);
    this.#watches.delete(watch);
    if (this.#watches.size === 0) this.#cancel();
    return watch.told(now);
  }

  /** A timer of somebody else's came this late, ms: the loop stood still, watched or not. */
  late(ms: number): void {
    if (ms >= STANDSTILL_MS) this.#stoodSince(this.#timers.now() - ms);
  }

  /** Counts a standstill that began then, once. */
  #stoodSince(since: number): void {
    const now = this.#timers.now();
    if (since >= this.#stoodUntil) this.standstills += 1;
    this.#stoodUntil = now;
  }

  /** A run begins to time: the next tick is soon. */
  #attend(watch: Watch): void {
    if (!this.#watches.has(watch)) return;
    this.#see(this.#timers.now());
    watch.time(this.#timers.now());
    this.#plan();
  }

  #plan(): void {
    this.#cancel();
    this.#tickedAt = this.#timers.now();
    let wait = CALM_MS;
    for (const watch of this.#watches) wait = Math.min(wait, watch.patience(this.#tickedAt));
    this.#dueAt = this.#tickedAt + wait;
    this.#cancel = this.#timers.after(wait, () => {
      this.#see(this.#timers.now());
      this.#onTick();
      if (this.#watches.size > 0) this.#plan();
    });
  }

  /** Takes note of how long the present tick is overdue. */
  #see(now: number): void {
    const late = now - this.#dueAt;
    if (late <= 0) return;
    const since = this.#tickedAt;
    const stood = now - since >= STANDSTILL_MS ? now - since : 0;
    if (stood > 0) this.#stoodSince(since);
    for (const watch of this.#watches) watch.saw(late, stood, now);
    // Noted: what is added later is only what comes on top.
    this.#tickedAt = now;
    this.#dueAt = now;
  }
}

export class Watch {
  readonly #begunAt: number;
  readonly #attend: (watch: Watch) => void;
  #timedAt: number | undefined;
  #worst = 0;
  #sum = 0;
  #stood = 0;

  constructor(now: number, attend: (watch: Watch) => void) {
    this.#begunAt = now;
    this.#attend = attend;
  }

  /** What the run times itself begins now: what held it up before distorts nothing. */
  measuring(): void {
    this.#attend(this);
  }

  /** @internal */
  time(now: number): void {
    this.#timedAt = now;
    this.#worst = 0;
    this.#sum = 0;
  }

  /** @internal How long the next tick may take, ms. */
  patience(now: number): number {
    if (this.#timedAt === undefined) return CALM_MS;
    return Math.min(LONGEST_MS, Math.max(FIRST_MS, (now - this.#timedAt) * SHARE));
  }

  /** @internal */
  saw(late: number, stood: number, now: number): void {
    const own = Math.min(late, now - (this.#timedAt ?? this.#begunAt));
    this.#worst = Math.max(this.#worst, own);
    this.#sum += own;
    this.#stood += Math.min(stood, now - this.#begunAt);
  }

  /** @internal */
  told(now: number): Lateness {
    const timed_ms = this.#timedAt === undefined ? 0 : now - this.#timedAt;
    return { worst_ms: this.#worst, sum_ms: this.#sum, stood_ms: this.#stood, timed_ms };
  }
}
