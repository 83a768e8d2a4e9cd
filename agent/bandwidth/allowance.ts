// The bytes one run may use, divided over its phases. What is asked for or written is taken beforehand, so that a process that
// is held up, or killed, cannot make the line carry more.

/** Weight of a phase with many connections, which fill a line sooner than one does. */
const MANY = 2;
const ONE = 1;

export class Allowance {
  readonly total: number;
  #used = 0;

  constructor(total: number) {
    this.total = total;
  }

  /** Bytes taken and not given back. */
  get used(): number {
    return this.#used;
  }

  /** Takes all of `bytes` or nothing. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.total) return false;
    this.#used += bytes;
    return true;
  }

  /** Notes bytes that have come in unasked. */
  charge(bytes: number): void {
    this.#used += bytes;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }

  /** The share of the first of these phases (numbers of connections) in what is left. */
  share(phases: readonly number[]): Share {
    const weight = (streams: number) => (streams > 1 ? MANY : ONE);
    const all = phases.reduce((sum, streams) => sum + weight(streams), 0);
    const part = all === 0 ? 0 : weight(phases[0] ?? 1) / all;
    return new Share(this, Math.max(0, Math.floor((this.total - this.#used) * part)));
  }
}

/** The bytes of one phase. */
export class Share {
  readonly total: number;
  readonly #run: Allowance;
  #used = 0;

  constructor(run: Allowance, total: number) {
    this.#run = run;
    this.total = total;
  }

  get left(): number {
    return Math.max(0, this.total - this.#used);
  }

  /** Takes up to so many bytes; answers how many. */
  take(wish: number): number {
    const granted = Math.floor(Math.min(wish, this.left));
    this.charge(granted);
    return granted;
  }

  /** Counts bytes that came in unasked. */
  charge(bytes: number): void {
    this.#used += bytes;
    this.#run.charge(bytes);
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
    this.#run.giveBack(bytes);
  }
}
