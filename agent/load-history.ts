// Looks at this host's load and lines while runs are under way, and the windows between them that say something of one run.
import { performance } from "node:perf_hooks";
import { isSuspicious, type LoadLook, lookAtLoad, SHORT_WINDOW_MS, WINDOW_MS } from "./host-load.ts";
import { busyBetween, type LineLook, type Lines } from "./line-load.ts";

/** A look this young need not be repeated at a run's end, nor at its beginning, which its window may well precede, ms. */
const YOUNG_MS = 30;
const RECENT_MS = 500;
/** Between looks during a long run, ms: a load of a few seconds in it must not drown in the rest. */
const EVERY_MS = 2000;
/** A run too short to be judged by itself is judged with what was just before it, ms. */
const BEFORE_MS = 3000;

export interface Look {
  readonly load: LoadLook;
  /** undefined where no line's capacity is known. */
  readonly line: LineLook | undefined;
}
export type Window = readonly [from: Look, to: Look];

/** What is looked at, so that tests can bring their own. */
export interface LoadSource {
  /** The clock of the looks, ms. */
  now(): number;
  look(): LoadLook;
  isSuspicious(before: LoadLook, now: LoadLook): boolean;
}

export class LoadHistory {
  readonly #lines: Lines;
  readonly #source: LoadSource;
  /** Beginnings of the runs under way, by the monotonic clock. */
  readonly #running: number[] = [];
  #looks: Look[] = [];

  constructor(lines: Lines, source: LoadSource = { now: () => performance.now(), look: lookAtLoad, isSuspicious }) {
    this.#lines = lines;
    this.#source = source;
  }

  /** A run begins; answers when, by the clock of the looks. */
  begin(): number {
    const { at } = this.#look(RECENT_MS).load;
    this.#running.push(at);
    return at;
  }

  end(begunAt: number): void {
    this.#running.splice(this.#running.indexOf(begunAt), 1);
  }

  /** Looks where the last look of a long run is some time ago. */
  tick(): void {
    if (this.#age >= EVERY_MS) this.#take();
  }

  /** Windows that together cover a run, each long enough to judge; none where it was too short and nothing was before it. */
  windows(begunAt: number): Window[] {
    const end = this.#look();
    const first = this.#looks.findLastIndex(({ load }) => load.at <= begunAt);
    const windows: Window[] = [];
    let from = this.#looks[Math.max(0, first)] ?? end;
    for (const look of this.#looks.slice(Math.max(0, first))) {
      if (look.load.at - from.load.at < WINDOW_MS) continue;
      windows.push([from, look]);
      from = look;
    }
    if (from === end) return windows;
    const { at } = end.load;
    const earlier = this.#looks.findLast(({ load }) => load.at <= at - WINDOW_MS && load.at >= at - BEFORE_MS);
    if (earlier !== undefined) return [...windows, [earlier, end]];
    return windows.length === 0 && at - from.load.at >= SHORT_WINDOW_MS ? [[from, end]] : windows;
  }

  /** How long to look on before a run without a window can be judged, ms; 0 where nothing calls for it. */
  missing(begunAt: number): number {
    const end = this.#look();
    const from = this.#looks.findLast(({ load }) => load.at <= begunAt) ?? end;
    const short = SHORT_WINDOW_MS - (end.load.at - from.load.at);
    return short > 0 && this.windows(begunAt).length === 0 && this.#isSuspicious(from, end) ? short : 0;
  }

  #isSuspicious(from: Look, to: Look): boolean {
    if (this.#source.isSuspicious(from.load, to.load)) return true;
    const [before, now] = [from.line, to.line];
    if (before === undefined || now === undefined) return false;
    return [...now.carried.keys()].some((name) => busyBetween(before, now, name, this.#lines.capacity(name)) !== undefined);
  }

  /** How long ago the last look was, ms. */
  get #age(): number {
    return this.#source.now() - (this.#looks.at(-1)?.load.at ?? Number.NEGATIVE_INFINITY);
  }

  /** The last look where it is young, else a new one. */
  #look(young_ms = YOUNG_MS): Look {
    const last = this.#looks.at(-1);
    return last !== undefined && this.#age < young_ms ? last : this.#take();
  }

  #take(): Look {
    const load = this.#source.look();
    const look = { load, line: this.#lines.look() };
    const needed = Math.min(load.at - BEFORE_MS, ...this.#running);
    const kept = this.#looks.findLastIndex((each) => each.load.at <= needed);
    this.#looks = [...this.#looks.slice(Math.max(0, kept)), look];
    return look;
  }
}
