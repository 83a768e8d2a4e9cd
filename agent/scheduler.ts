// When tests run: aligned to the time of day, without drift, one run of a test at a time, no burst after a sleep. What is due is
// waited for by a clock that nobody sets: where the time of day jumps, no run comes early and none is lost.
import { isSeriesOf, readSeriesId } from "#contract/series-id";
import type { InstructedTest } from "#contract/wire";
import { JUMP_MS } from "./host-clock.ts";
import { hostTime } from "./host-time.ts";
import { Recent } from "./recent.ts";
import { allowedAt, scheduleProblem } from "./schedule.ts";

/** The time, so that tests can bring their own. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls back after `ms`; answers how to call it off. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** The clocks of a schedule: what time it is may jump, the steady one only runs, asleep too. */
export interface ScheduleClock extends Clock {
  /** Milliseconds. */
  steady(): number;
}

/** Runs one test to its end. `problem` is why it cannot be run as asked. */
export type RunDue = (test: InstructedTest, problem: string | undefined) => Promise<void>;

/** A timer longer than this is looked at again in between: clocks are set, laptops sleep. */
const LONGEST_WAIT_MS = 60_000;
/** Who wakes later than this slept or was held, ms: the slot is over, as it is for every other test of this host. */
const MISSED_MS = 5000;
/** A missed run is made up for within this time, in the test's own place of it, so that tests do not all begin at once, seconds. */
const MAKE_UP_S = 60;

/** First moment after `after` that is offset + k · interval since the epoch. Seconds, answer in ms. */
export function nextSlot(after: number, interval_s: number, offset_s: number): number {
  const interval = interval_s * 1000;
  const offset = (((offset_s * 1000) % interval) + interval) % interval;
  return Math.floor((after - offset) / interval) * interval + interval + offset;
}

/** New series of a test that names many clients begin one after the other, so far apart, milliseconds. */
const MESH_STEP_MS = 100;

interface Entry {
  test: InstructedTest;
  /** All that makes it another measurement; a new offset only moves it. */
  key: string;
  /** When this agent first had the test, by the steady clock. */
  since: number;
  running: boolean;
  /** Epoch ms; and the same moment by the steady clock. */
  due: number;
  dueAt: number;
  /** When it last started by the steady clock, or would have if it were allowed; null before its first time. */
  started: number | null;
  cancel: () => void;
}

export class Scheduler {
  readonly #clock: ScheduleClock;
  readonly #run: RunDue;
  readonly #leastGapS: () => number;
  readonly #entries = new Map<string, Entry>();
  /** Runs left out because the one before was not over. */
  skipped = 0;
  /** How late runs began, ms after they were due. */
  readonly lag = new Recent();

  /** `leastGapS`: what the host's owner asks for between two runs of a test, seconds. */
  constructor(run: RunDue, clock: ScheduleClock = hostTime, leastGapS: () => number = () => 0) {
    this.#run = run;
    this.#clock = clock;
    this.#leastGapS = leastGapS;
  }

  /** The series of a test held now: one, one for each client that it names, or none. */
  find(testId: string): InstructedTest[] {
    return [...this.#entries.values()].map(({ test }) => test).filter((test) => isSeriesOf(test.test_id, testId));
  }

  /** Follows a new set of tests: new and changed ones run at once, those not named stop. */
  apply(tests: readonly InstructedTest[]): void {
    const named = new Set(tests.map((test) => test.test_id));
    for (const [id, entry] of this.#entries) {
      if (named.has(id)) continue;
      entry.cancel();
      this.#entries.delete(id);
    }
    const news = new Map<string, number>();
    for (const test of tests) {
      const { test_id, peer_id } = readSeriesId(test.test_id);
      const place = news.get(test_id) ?? 0;
      const isNews = this.#place(test, Math.min(MESH_STEP_MS, (test.interval_s * 500) / tests.length) * place);
      if (isNews && peer_id !== null) news.set(test_id, place + 1);
    }
  }

  /** Starts nothing any more. */
  stop(): void {
    this.apply([]);
  }

  /** `delay`: how long the first run of a new or changed test waits, ms. Answers whether it is one. */
  #place(test: InstructedTest, delay: number): boolean {
    const key = JSON.stringify({ ...test, offset_s: 0 });
    const held = this.#entries.get(test.test_id);
    if (held?.key === key) {
      this.#move(held, test);
      return false;
    }
    held?.cancel();
    const steady = this.#clock.steady();
    const entry: Entry = {
      test,
      key,
      since: held?.since ?? steady,
      running: false,
      due: this.#clock.now(),
      dueAt: steady,
      started: null,
      cancel: () => {},
    };
    this.#entries.set(test.test_id, entry);
    if (delay === 0) this.#begin(entry);
    else entry.cancel = this.#clock.after(delay, () => this.#begin(entry));
    return true;
  }

  /** The same test at another offset: the next run keeps half an interval's distance from the last. */
  #move(held: Entry, test: InstructedTest): void {
    if (held.test.offset_s === test.offset_s) return;
    held.test = test;
    // One whose first run is still to come takes its place in phase after that.
    if (held.started !== null) this.#aim(held, this.#restedAt(held));
  }

  /** When half an interval, or as much as the owner asks for, will have passed since the last run, or now where it has; epoch ms. */
  #restedAt({ started, test }: Entry): number {
    const gap = Math.max(test.interval_s * 500, this.#leastGapS() * 1000);
    const rest = started === null ? 0 : started + gap - this.#clock.steady();
    return this.#clock.now() + Math.max(0, rest);
  }

  /** The run at once, then those in phase. */
  #begin(entry: Entry): void {
    this.#runIfAllowed(entry);
    // The first run in phase keeps half an interval's distance from the one just made.
    this.#aim(entry, this.#restedAt(entry));
  }

  #runIfAllowed(entry: Entry): void {
    const now = this.#clock.now();
    const steady = this.#clock.steady();
    entry.started = steady;
    if (allowedAt(usable(entry.test), now, now - (steady - entry.since))) this.#start(entry);
  }

  /** Sets the timer for the first slot after `after`. */
  #aim(entry: Entry, after: number, interval_s = entry.test.interval_s): void {
    entry.cancel();
    entry.due = nextSlot(after, interval_s, entry.test.offset_s);
    entry.dueAt = this.#clock.steady() + entry.due - this.#clock.now();
    this.#wait(entry);
  }

  #wait(entry: Entry): void {
    const wait = Math.max(0, entry.dueAt - this.#clock.steady());
    entry.cancel = this.#clock.after(Math.min(wait, LONGEST_WAIT_MS), () => this.#wake(entry));
  }

  #wake(entry: Entry): void {
    const late = this.#clock.steady() - entry.dueAt;
    const wasSet = Math.abs(this.#clock.now() - entry.due - late) > JUMP_MS;
    if (late < 0) {
      // By the new time of day its place is another one.
      if (wasSet) this.#aim(entry, this.#restedAt(entry));
      else this.#wait(entry);
      return;
    }
    if (late > MISSED_MS) {
      // What a sleeping host missed is over.
      this.#aim(entry, this.#restedAt(entry), Math.min(MAKE_UP_S, entry.test.interval_s));
      return;
    }
    this.lag.push(late);
    const isOffPhase = wasSet || nextSlot(entry.due - 1, entry.test.interval_s, entry.test.offset_s) !== entry.due;
    this.#runIfAllowed(entry);
    this.#aim(entry, isOffPhase ? this.#restedAt(entry) : Math.max(this.#clock.now(), entry.due));
  }

  #start(entry: Entry): void {
    if (entry.running) {
      this.skipped += 1;
      return;
    }
    entry.running = true;
    const done = () => {
      entry.running = false;
    };
    this.#run(entry.test, scheduleProblem(entry.test.schedule)).then(done, done);
  }
}

/** A schedule that cannot be followed does not silence its test: the run answers what is wrong. */
const usable = (test: InstructedTest) => (scheduleProblem(test.schedule) === undefined ? test.schedule : null);
