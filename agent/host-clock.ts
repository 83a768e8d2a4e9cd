// The time as truly as this host can know it. Three clocks are compared: the wall clock, which people and daemons set; the
// monotonic clock, which on Linux stands still while the host sleeps; and the time since boot, which does not.
import { randomUUID } from "node:crypto";
import { ProcFile } from "./proc-file.ts";

/** A difference that changes by more than this between two looks is a step or a sleep, ms. Slewing does some ms a minute. */
export const JUMP_MS = 500;
/** A wall clock no further off than this is believed, ms: what timed its offset took up to half a second each way. */
export const AGREES_MS = 2000;
/** An offset's error is up to half of its round trip; an exchange that took longer than this tells nothing, ms. */
const LONGEST_EXCHANGE_MS = 1000;
/** Clocks read further apart than this were read by a process that was held up in between, ms: they are read again. */
const TOGETHER_MS = 20;
const READINGS = 4;

/** Clocks in milliseconds. */
export interface ClockSource {
  /** Epoch time as the system has it. */
  wall(): number;
  monotonic(): number;
  /** Runs while the host sleeps; undefined where there is no such clock, or where the monotonic one does. */
  boot(): number | undefined;
}

const uptime = new ProcFile("/proc/uptime");

export const systemClocks: ClockSource = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  boot() {
    // Elsewhere the monotonic clock runs on in a sleep (mach_continuous_time, QueryPerformanceCounter).
    const seconds = process.platform === "linux" ? Number.parseFloat(uptime.read() ?? "") : Number.NaN;
    return Number.isFinite(seconds) ? seconds * 1000 : undefined;
  },
};

/** What happened to the clocks since the process began. */
export interface ClockHistory {
  readonly steps: number;
  /** Sum of all steps, ms; forward is positive. */
  readonly stepped_ms: number;
  readonly sleeps: number;
  readonly slept_ms: number;
}

/** When something began, for the time when it is known how wrong the wall clock was. */
export interface ClockMark {
  /** The process whose clock it is. */
  readonly of: string;
  /** By the steady clock, ms. */
  readonly at: number;
}

/** A beginning: epoch ms as known then, and how to find the true time later where it was not known. */
export interface Moment {
  readonly started_at: number;
  readonly mark: ClockMark | undefined;
}

interface Look {
  readonly wall: number;
  readonly monotonic: number;
}

export class HostClock {
  readonly #source: ClockSource;
  /** Names this process in its marks; undefined where no edge will ever tell the time. */
  #id: string | undefined;
  #last: Look;
  /** Time since boot less the monotonic clock, which only a sleep changes; undefined where the system does not tell. */
  #ahead: number | undefined;
  #offset: number | null = null;
  #steps = 0;
  #stepped_ms = 0;
  #sleeps = 0;
  #slept_ms = 0;

  constructor(source: ClockSource = systemClocks) {
    this.#source = source;
    this.#last = this.#read();
    this.#ahead = this.#sinceBoot(this.#last);
  }

  /** Epoch ms: the wall clock where it agrees with the edge or nothing is known of it, else corrected by its offset. */
  now(): number {
    const { wall } = this.#look();
    return this.#isWrong ? wall - (this.#offset ?? 0) : wall;
  }

  /** Whether now() is not the wall clock. */
  get corrected(): boolean {
    this.#look();
    return this.#isWrong;
  }

  /** Epoch ms by the edge's clock; the wall clock where nothing is known of it. */
  edgeNow(): number {
    return this.#look().wall - (this.#offset ?? 0);
  }

  /** Wall clock minus edge clock, ms, as it is now; null before the first estimate. */
  get offset(): number | null {
    this.#look();
    return this.#offset;
  }

  /** Milliseconds of a clock that nobody sets and that runs while the host sleeps, as far as the system tells of that. */
  steady(): number {
    const { monotonic } = this.#look();
    return monotonic + this.#slept_ms;
  }

  get history(): ClockHistory {
    this.#look();
    return { steps: this.#steps, stepped_ms: this.#stepped_ms, sleeps: this.#sleeps, slept_ms: this.#slept_ms };
  }

  /**
   * Learns from an exchange, by readings of the wall clock: the server's time lies in the middle between question and answer,
   * if both ways took the same (RFC 5905 section 8).
   */
  learn(serverTime: number, sent: number, received: number): void {
    this.#look();
    if (received - sent > LONGEST_EXCHANGE_MS || received < sent) return;
    this.#offset = Math.round((sent + received) / 2 - serverTime);
  }

  /** An edge will tell the time: moments until then are marked. */
  awaitEdge(): void {
    this.#id ??= randomUUID();
  }

  /** Now, as the beginning of something. */
  moment(): Moment {
    const started_at = this.now();
    const mark = this.#offset !== null || this.#id === undefined ? undefined : { of: this.#id, at: this.steady() };
    return { started_at, mark };
  }

  /** Epoch ms of a mark of this process, or undefined while the offset is not known. */
  timeOf(mark: ClockMark): number | undefined {
    return mark.of !== this.#id || this.offset === null ? undefined : Math.round(this.edgeNow() - (this.steady() - mark.at));
  }

  get #isWrong(): boolean {
    return Math.abs(this.#offset ?? 0) > AGREES_MS;
  }

  /**
   * Compares the wall clock with the monotonic one. Where they have parted since the last look, the time since boot tells what
   * of that was sleep; the rest was set, and the offset follows at once.
   */
  #look(): Look {
    const now = this.#read();
    const last = this.#last;
    this.#last = now;
    const parted = now.wall - last.wall - (now.monotonic - last.monotonic);
    if (Math.abs(parted) <= JUMP_MS) return now;
    const ahead = this.#sinceBoot(now);
    const slept = ahead === undefined || this.#ahead === undefined ? 0 : ahead - this.#ahead;
    this.#ahead = ahead;
    const asleep = slept > JUMP_MS ? slept : 0;
    if (asleep > 0) {
      this.#sleeps += 1;
      this.#slept_ms += asleep;
    }
    const stepped = parted - asleep;
    if (Math.abs(stepped) > JUMP_MS) {
      this.#steps += 1;
      this.#stepped_ms += stepped;
      if (this.#offset !== null) this.#offset += Math.round(stepped);
    }
    return now;
  }

  #sinceBoot({ monotonic }: Look): number | undefined {
    const boot = this.#source.boot();
    return boot === undefined ? undefined : boot - monotonic;
  }

  #read(): Look {
    for (let reading = 1; ; reading++) {
      const monotonic = this.#source.monotonic();
      const wall = this.#source.wall();
      if (this.#source.monotonic() - monotonic <= TOGETHER_MS || reading === READINGS) return { monotonic, wall };
    }
  }
}

/** This process's clock. */
export const hostClock = new HostClock();
