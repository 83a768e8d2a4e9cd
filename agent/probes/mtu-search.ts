// Searches the path MTU: echo requests of several sizes at once, beside small ones that tell the loss (RFC 4821, RFC 8899).
// An answer proves that a size passes; silence proves something only against the loss; routers' messages are hints to verify.
import { performance } from "node:perf_hooks";
import { MtuBelief, type SizeEvidence } from "./mtu-belief.ts";
import { BeyondBurst, beyondTool, type Refusal } from "./mtu-beyond.ts";
import { type Discovery, EchoStream, HEADER_BYTES } from "./mtu-echo.ts";
import { fittingLoss, type LossView, patience, sizeEvidence, witnesses } from "./mtu-evidence.ts";
import { type HoleEdge, MtuLocator } from "./mtu-locate.ts";
import type { PingTool } from "./ping-tool.ts";

/** Payload of the small packets that tell the loss. */
const CONTROL_PAYLOAD = 56;
const CONTROL_INTERVAL_MS = 50;
/** Spacing of the packets of one size, and where the path loses so much that more are needed. */
const INTERVAL_MS = 100;
const LOSSY_INTERVAL_MS = 55;
const LOSSY = 0.25;
/** Children at once: the small packets and these. */
const STREAMS = 5;
const STREAMS_WHILE_LOCATING = 2;
/** A verdict may be wrong this often. */
const ERROR_CHANCE = 1e-3;
/** A size is given up when it passes with less than this probability. */
const HOPELESS = 0.03;
const SETTLED = 0.9;
const TICK_MS = 40;
/** The whole of the interface's MTU is tried alone for this long. */
const ALONE_MS = 700;
/** Without any answer after this much more than the time-out, the target does not answer. */
const SILENT_AFTER_MS = 2000;
const BURSTS_EACH = 2;

export interface SearchSetup {
  readonly tool: PingTool;
  readonly address: string;
  readonly family: 4 | 6;
  readonly discovery: Discovery;
  /** Largest packet to try, bytes. */
  readonly top: number;
  readonly timeout_ms: number;
  /** By the monotonic clock, ms. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly onDecided: (size: SizeVerdict) => void;
  readonly onLocated: (edge: HoleEdge) => void;
}

export interface SizeVerdict {
  readonly size: number;
  readonly verdict: "passes" | "refused" | "vanishes";
  readonly refusal: Refusal | null;
  readonly sent: number;
  readonly rtt: number | null;
}

/** Why the search ended: `exact` the size above the largest that passes is proven to fail, or is beyond the top. */
export type SearchEnd = "exact" | "top" | "claim" | "cache" | "silent" | "broken" | "deadline";

export class MtuSearch {
  readonly #setup: SearchSetup;
  readonly control: EchoStream;
  readonly streams: EchoStream[] = [];
  readonly bursts: BeyondBurst[] = [];
  readonly refusals: Refusal[] = [];
  readonly locator: MtuLocator;
  readonly #belief: MtuBelief;
  readonly #told = new Set<number>();
  readonly #readErrors = new Map<EchoStream, number>();
  readonly #beyond = beyondTool();
  readonly #startedAt = performance.now();
  #wake: () => void = () => undefined;
  evidence: ReadonlyMap<number, SizeEvidence> = new Map();
  loss: LossView = { sent: 0, lost: 0, believed: 0.5, atMost: 1 };
  /** Largest packet the kernel lets through because of what it remembers of the path. */
  kernelLimit: number | null = null;
  /** Largest size that passed, 0 when nothing was answered. */
  largestPassed = 0;

  constructor(setup: SearchSetup) {
    this.#setup = setup;
    const small = CONTROL_PAYLOAD + HEADER_BYTES[setup.family];
    this.#belief = new MtuBelief(small, setup.top);
    this.control = this.#echo(small, CONTROL_INTERVAL_MS);
    this.locator = new MtuLocator((size, ttl) => this.#echo(size, this.#interval(), ttl), small);
  }

  /** Probability that silence at this size is nothing but loss; 1 where nothing vanished. */
  falseFailure(size: number): number {
    return this.loss.atMost ** (this.evidence.get(size)?.vanished ?? 0);
  }

  /** Where the black hole begins; null when there is none or it is not known. */
  get edge(): HoleEdge | null {
    return this.locator.edge(this.largestPassed + 1);
  }

  /** Runs to its end; every child is gone afterwards. */
  async run(): Promise<SearchEnd> {
    this.streams.push(this.#echo(this.#setup.top, INTERVAL_MS));
    let end: SearchEnd | undefined;
    while (end === undefined) {
      await this.#rest();
      this.#collect();
      const over = this.#setup.signal.aborted || performance.now() >= this.#setup.deadline;
      end = this.#conclusion() ?? (over ? "deadline" : undefined);
      if (end === "exact" && this.#mayLocate() && !over) end = undefined;
      if (end === undefined) this.#steer();
    }
    const all = [this.control, ...this.streams, ...this.locator.streams];
    for (const stream of all) stream.stop();
    await Promise.all([...all, ...this.bursts].map((each) => each.ended));
    this.#collect();
    return end;
  }

  #echo(size: number, interval_ms: number, ttl?: number): EchoStream {
    const { tool, address, family, discovery, signal, deadline } = this.#setup;
    // No two streams keep the same pace: regular loss must not meet always the same one.
    const pace = interval_ms * (1 + 0.03 * (this.streams.length % 5));
    const life_ms = Math.max(1, deadline - performance.now());
    const order = { tool, address, family, size, interval_ms: pace, discovery, life_ms, signal };
    return new EchoStream(ttl === undefined ? order : { ...order, ttl }, () => this.#wake());
  }

  #interval(): number {
    return this.loss.sent >= 8 && this.loss.believed > LOSSY ? LOSSY_INTERVAL_MS : INTERVAL_MS;
  }

  /** Until something arrives, at most a tick. */
  #rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, TICK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Milliseconds after which an unanswered probe has vanished. */
  get wait_ms(): number {
    const rtts = [this.control, ...this.streams].flatMap((stream) => stream.rtts);
    return patience(rtts, this.#setup.timeout_ms);
  }

  #collect(): void {
    const now = performance.now();
    const wait_ms = this.wait_ms;
    this.#readRefusals();
    const all = [this.control, ...this.streams];
    const view = { wait_ms, now, witnesses: witnesses(all) };
    this.evidence = sizeEvidence(all, this.bursts, this.refusals, view);
    this.largestPassed = Math.max(0, ...[...this.evidence.values()].filter((each) => each.passed).map((each) => each.size));
    const fitting = all.filter((stream) => stream.size <= this.largestPassed);
    this.loss = fittingLoss(fitting.length > 0 ? fitting : [this.control], wait_ms, now);
    this.#belief.update([...this.evidence.values()], this.loss.believed);
    this.#tell();
  }

  #readRefusals(): void {
    for (const stream of [...this.streams, ...this.locator.streams]) {
      const seen = this.#readErrors.get(stream) ?? 0;
      for (const error of stream.errors.slice(seen)) {
        if (error.kind !== "frag_needed" || error.from === null) continue;
        this.#refuse({ size: stream.size, from: error.from, mtu: error.mtu !== null && error.mtu > 0 ? error.mtu : null });
      }
      this.#readErrors.set(stream, stream.errors.length);
      if (stream.localLimit !== null && stream.localLimit < (this.kernelLimit ?? Number.POSITIVE_INFINITY)) {
        this.kernelLimit = stream.localLimit;
        this.#belief.claim(stream.localLimit);
      }
    }
    for (const burst of this.bursts) {
      if (burst.refusal !== null && !this.refusals.includes(burst.refusal)) this.#refuse(burst.refusal);
    }
  }

  #refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    if (refusal.mtu !== null && refusal.mtu < refusal.size) this.#belief.claim(refusal.mtu);
  }

  /** The size just above the largest that passes: is it refused, or has it vanished often enough? */
  #conclusion(): SearchEnd | undefined {
    const passed = this.largestPassed;
    if (passed === 0) return this.#silence();
    if (passed === this.#setup.top) return "top";
    const above = this.evidence.get(passed + 1);
    if (above?.refused === true || this.falseFailure(passed + 1) < ERROR_CHANCE) return "exact";
    if (this.kernelLimit === null || passed < this.kernelLimit || !this.#beyondTried(passed + 1)) return undefined;
    return this.refusals.some((refusal) => refusal.mtu === passed) ? "claim" : "cache";
  }

  /** Nothing was answered so far: is that the end? */
  #silence(): SearchEnd | undefined {
    const { run } = this.control;
    if (run !== null && !run.aborted) return "broken";
    const unreachable = this.control.errors.length >= 3;
    const patient = this.#setup.timeout_ms + SILENT_AFTER_MS;
    const half = (this.#setup.deadline - this.#startedAt) / 2;
    return unreachable || performance.now() - this.#startedAt > Math.min(patient, half) ? "silent" : undefined;
  }

  #beyondTried(size: number): boolean {
    if (this.#beyond === undefined) return true;
    const tried = this.bursts.filter((burst) => burst.size === size);
    return tried.length >= BURSTS_EACH && tried.every((burst) => !burst.running);
  }

  /** Whether the router before a black hole is still being looked for. */
  #mayLocate(): boolean {
    return this.#isHole() && this.edge === null;
  }

  /** Packets just above the largest that passes vanish, and no router explains it. */
  #isHole(): boolean {
    const passed = this.largestPassed;
    return !this.refusals.some((refusal) => refusal.mtu === passed || refusal.size === passed + 1);
  }

  /** Starts and stops streams by what is still open. */
  #steer(): void {
    const passed = this.largestPassed;
    for (const stream of this.streams) {
      const hopeless = this.#belief.passes(stream.size) < HOPELESS && stream.size !== passed + 1;
      const refused = this.evidence.get(stream.size)?.refused === true || stream.localLimit !== null;
      if (stream.size < passed || refused || hopeless) stream.stop();
    }
    const settled = this.#belief.likeliest();
    const hole = passed > 0 && settled.mtu === passed && settled.probability > SETTLED && this.#isHole();
    const locating = hole && this.edge === null;
    if (locating) {
      this.locator.step(passed + 1, this.loss, this.wait_ms);
      if (this.edge !== null) this.#setup.onLocated(this.edge);
    } else if (!hole) this.locator.pause();
    const running = this.streams.filter((stream) => stream.running).length + this.bursts.filter((burst) => burst.running).length;
    this.#start((locating ? STREAMS_WHILE_LOCATING : STREAMS) - running);
  }

  #start(places: number): void {
    const { top } = this.#setup;
    const first = this.streams[0];
    const undecided = this.refusals.length === 0 && this.kernelLimit === null && (this.evidence.get(top)?.vanished ?? 0) === 0;
    if (first?.running === true && undecided && performance.now() - this.#startedAt < ALONE_MS) return;
    let free = places;
    for (const size of this.#belief.bestSizes(STREAMS)) {
      if (free <= 0) return;
      if (this.kernelLimit !== null && size > this.kernelLimit) free -= this.#burst(size) ? 1 : 0;
      else if (!this.streams.some((stream) => stream.running && stream.size === size)) {
        this.streams.push(this.#echo(size, this.#interval()));
        free -= 1;
      }
    }
  }

  #burst(size: number): boolean {
    if (this.#beyond === undefined || this.bursts.some((burst) => burst.running)) return false;
    if (this.bursts.filter((burst) => burst.size === size).length >= BURSTS_EACH) return false;
    const { address, signal, deadline } = this.#setup;
    const wait_ms = Math.min(Math.max(300, this.wait_ms), Math.max(100, deadline - performance.now()));
    this.bursts.push(new BeyondBurst({ file: this.#beyond, address, size, wait_ms, signal }, () => this.#wake()));
    return true;
  }

  /** Tells each size once, when it is decided. */
  #tell(): void {
    for (const { size, passed, refused, vanished } of this.evidence.values()) {
      if (this.#told.has(size) || size <= this.#belief.low) continue;
      const hopeless = vanished > 0 && this.falseFailure(size) < HOPELESS;
      if (!passed && !refused && !hopeless) continue;
      this.#told.add(size);
      const streams = this.streams.filter((stream) => stream.size === size);
      this.#setup.onDecided({
        size,
        verdict: passed ? "passes" : refused ? "refused" : "vanishes",
        refusal: this.refusals.find((refusal) => refusal.size === size) ?? null,
        sent: streams.reduce((sum, stream) => sum + stream.probes.size, 0),
        rtt: streams.flatMap((stream) => stream.rtts)[0] ?? null,
      });
    }
  }
}
