// Searches the path MTU: echo requests of several sizes at once, beside small ones that tell the loss (RFC 4821, RFC 8899).
// An answer proves that a size passes; silence proves something only against the loss; routers' messages are hints to verify.
import { performance } from "node:perf_hooks";
import { MtuBelief, type SizeEvidence } from "./mtu-belief.ts";
import type { Refusal } from "./mtu-beyond.ts";
import { type ChildSetup, MtuChildren } from "./mtu-children.ts";
import type { EchoStream } from "./mtu-echo.ts";
import { fittingLoss, type LossView, queueing, sizeEvidence, witnesses } from "./mtu-evidence.ts";
import { type HoleEdge, MtuLocator } from "./mtu-locate.ts";

/** Spacing of the packets of one size, and where the path loses so much that more are needed. */
const INTERVAL_MS = 100;
const LOSSY_INTERVAL_MS = 55;
const LOSSY = 0.25;
/** Children at once: the small packets and these. */
const STREAMS = 5;
export const CHILDREN = STREAMS + 1;
const STREAMS_WHILE_LOCATING = 2;
const STREAMS_WHILE_SLOW = 2;
/** The own packets fill a queue: each time, the spacing doubles, and this long nothing is concluded from it, ms. */
const SLOWEST = 3;
const DRAIN_MS = 1000;
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

export interface SearchSetup extends ChildSetup {
  /** Largest packet to try, bytes. */
  readonly top: number;
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

/**
 * Why the search ended. `exact`: the size above the largest that passes is proven to fail; `top`: the largest there is passes;
 * `claim`, `cache`: nothing larger can be sent than what a router said in this run, or the kernel remembers from before;
 * `unproven`: larger packets could be sent but their silence proves nothing.
 */
export type SearchEnd = "exact" | "top" | "claim" | "cache" | "unproven" | "silent" | "broken" | "deadline";

export class MtuSearch {
  readonly #setup: SearchSetup;
  readonly children: MtuChildren;
  readonly refusals: Refusal[] = [];
  readonly locator: MtuLocator;
  #belief: MtuBelief;
  readonly #told = new Set<number>();
  readonly #readErrors = new Map<EchoStream, number>();
  readonly #startedAt = performance.now();
  /** Silence counts from here on. */
  #calmSince = this.#startedAt;
  /** How often the spacing was doubled. */
  slowed = 0;
  #wake: () => void = () => undefined;
  evidence: ReadonlyMap<number, SizeEvidence> = new Map();
  loss: LossView = { sent: 0, lost: 0, believed: 0.5, atMost: 1 };
  /** Largest packet the kernel lets through because of what it remembers of the path. */
  kernelLimit: number | null = null;
  /** Largest packet that may leave this host at all, when it turned out to be less than the top. */
  hostLimit: number | null = null;
  /** Largest size that passed, 0 when nothing was answered. */
  largestPassed = 0;

  constructor(setup: SearchSetup) {
    this.#setup = setup;
    this.children = new MtuChildren(setup, () => this.#wake());
    const { small } = this.children;
    this.#belief = new MtuBelief(small, setup.top);
    this.locator = new MtuLocator((size, ttl) => this.children.echo(size, this.#interval(), ttl), small);
  }

  /** Probability that silence at this size is nothing but loss; 1 where nothing vanished. */
  falseFailure(size: number): number {
    return this.loss.atMost ** (this.evidence.get(size)?.vanished ?? 0);
  }

  /** Largest size there is to try. */
  get top(): number {
    return Math.min(this.#setup.top, this.hostLimit ?? Number.POSITIVE_INFINITY);
  }

  /** Where the black hole begins; null when there is none or it is not known. */
  get edge(): HoleEdge | null {
    return this.locator.edge(this.largestPassed + 1);
  }

  /** Runs to its end; every child is gone afterwards. */
  async run(): Promise<SearchEnd> {
    this.children.start(this.#setup.top, INTERVAL_MS);
    let end: SearchEnd | undefined;
    while (end === undefined) {
      await this.#rest();
      this.#collect();
      const over = this.#setup.signal.aborted || performance.now() >= this.#setup.deadline;
      end = this.#conclusion() ?? (over ? "deadline" : undefined);
      if (end === "exact" && this.#mayLocate() && !over) end = undefined;
      if (end === undefined) this.#steer();
    }
    await this.children.end(this.locator.streams);
    this.#collect();
    return end;
  }

  #interval(): number {
    if (this.slowed > 0) return INTERVAL_MS * 2 ** this.slowed;
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

  #collect(): void {
    const now = performance.now();
    this.#readRefusals();
    this.#yield(now);
    const { all, streams, bursts, control, wait_ms } = this.children;
    const view = { wait_ms, since: this.#calmSince, now };
    this.evidence = sizeEvidence(all, bursts, this.refusals, { ...view, witnesses: witnesses(all) });
    this.largestPassed = Math.max(0, ...[...this.evidence.values()].filter((each) => each.passed).map((each) => each.size));
    const fitting = streams.filter((stream) => stream.size <= this.largestPassed);
    this.loss = fittingLoss(control, fitting, view);
    this.#belief.update([...this.evidence.values()], this.loss.believed);
    this.#tell();
  }

  /** Slows down when our own packets fill a slow link's queue: it would drop the large ones and let the small ones in. */
  #yield(now: number): void {
    const queued = queueing(this.children.control, this.#calmSince);
    if (queued === 0 || this.slowed >= SLOWEST || now < this.#calmSince) return;
    this.slowed += 1;
    this.#calmSince = now + DRAIN_MS;
    for (const stream of this.children.streams) stream.stop();
    this.locator.forget();
  }

  #readRefusals(): void {
    for (const stream of [...this.children.streams, ...this.locator.streams]) {
      const seen = this.#readErrors.get(stream) ?? 0;
      for (const error of stream.errors.slice(seen)) {
        if (error.kind !== "frag_needed" || error.from === null) continue;
        this.#refuse({ size: stream.size, from: error.from, mtu: error.mtu !== null && error.mtu > 0 ? error.mtu : null });
      }
      this.#readErrors.set(stream, stream.errors.length);
      if (stream.localLimit !== null) this.#limited(stream.localLimit);
    }
    for (const burst of this.children.bursts) {
      if (burst.refusal !== null && !this.refusals.includes(burst.refusal)) this.#refuse(burst.refusal);
      if (burst.hostLimit !== null) this.#limitedByHost(burst.hostLimit);
    }
  }

  /** The kernel refused a size: because of the interface, or because of what it remembers and `do` obeys. */
  #limited(limit: number): void {
    if (this.#setup.discovery === "probe") this.#limitedByHost(limit);
    else if (limit < (this.kernelLimit ?? Number.POSITIVE_INFINITY)) {
      this.kernelLimit = limit;
      this.#belief.claim(limit);
    }
  }

  #limitedByHost(limit: number): void {
    if (limit >= this.top || limit <= this.#belief.low) return;
    this.hostLimit = limit;
    this.#belief = new MtuBelief(this.#belief.low, limit);
    for (const { mtu } of this.refusals) if (mtu !== null) this.#belief.claim(mtu);
    if (this.kernelLimit !== null) this.#belief.claim(this.kernelLimit);
  }

  #refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    if (refusal.mtu !== null && refusal.mtu < refusal.size) this.#belief.claim(refusal.mtu);
  }

  /** The size just above the largest that passes: is it refused, or has it vanished often enough? */
  #conclusion(): SearchEnd | undefined {
    const passed = this.largestPassed;
    if (passed === 0) return this.#silence();
    if (passed >= this.top) return "top";
    const above = this.evidence.get(passed + 1);
    if (above?.refused === true || this.falseFailure(passed + 1) < ERROR_CHANCE) return "exact";
    if (this.kernelLimit === null || passed < this.kernelLimit || !this.children.burstsDone(passed + 1)) return undefined;
    if (this.refusals.some((refusal) => refusal.mtu === passed)) return "claim";
    return passed === this.kernelLimit ? "cache" : "unproven";
  }

  /** Nothing was answered so far: is that the end? */
  #silence(): SearchEnd | undefined {
    const { run, errors } = this.children.control;
    if (run !== null && !run.aborted) return "broken";
    const unreachable = errors.length >= 3;
    const patient = this.#setup.timeout_ms + SILENT_AFTER_MS;
    const half = (this.#setup.deadline - this.#startedAt) / 2;
    return unreachable || performance.now() - this.#startedAt > Math.min(patient, half) ? "silent" : undefined;
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
    for (const stream of this.children.streams) {
      const hopeless = this.#belief.passes(stream.size) < HOPELESS && stream.size !== passed + 1;
      const refused = this.evidence.get(stream.size)?.refused === true || stream.localLimit !== null;
      if (stream.size < passed || refused || hopeless) stream.stop();
    }
    const settled = this.#belief.likeliest();
    const hole = passed > 0 && settled.mtu === passed && settled.probability > SETTLED && this.#isHole();
    const sendable = passed < (this.kernelLimit ?? Number.POSITIVE_INFINITY);
    const locating = hole && sendable && this.edge === null;
    if (locating) {
      this.locator.step(passed + 1, this.loss, this.children.wait_ms);
      if (this.edge !== null) this.#setup.onLocated(this.edge);
    } else if (!hole) this.locator.pause();
    const places = locating ? STREAMS_WHILE_LOCATING : this.slowed > 0 ? STREAMS_WHILE_SLOW : STREAMS;
    this.#start(places - this.children.running);
  }

  #start(places: number): void {
    const { top } = this;
    const first = this.children.streams[0];
    const undecided = this.refusals.length === 0 && this.kernelLimit === null && (this.evidence.get(top)?.vanished ?? 0) === 0;
    if (first?.running === true && undecided && performance.now() - this.#startedAt < ALONE_MS) return;
    let free = places;
    for (const size of this.#worthTrying()) {
      if (free <= 0) return;
      const past = this.kernelLimit !== null && size > this.kernelLimit;
      if (past ? this.children.burst(size) : this.children.start(size, this.#interval())) free -= 1;
    }
  }

  /** What the kernel lets through comes first; what it remembers is doubted only when all of that passes. */
  #worthTrying(): number[] {
    const limit = this.kernelLimit;
    const passed = this.largestPassed;
    if (limit === null) return this.#belief.bestSizes(STREAMS);
    if (passed < limit) return this.#belief.bestSizes(STREAMS, limit);
    return [...new Set([this.top, passed + 1, ...this.#belief.bestSizes(STREAMS)])].filter((size) => size > passed);
  }

  /** Tells each size once, when it is decided. */
  #tell(): void {
    for (const { size, passed, refused, vanished } of this.evidence.values()) {
      if (this.#told.has(size) || size <= this.#belief.low) continue;
      const hopeless = vanished > 0 && this.falseFailure(size) < HOPELESS;
      if (!passed && !refused && !hopeless) continue;
      this.#told.add(size);
      const streams = this.children.streams.filter((stream) => stream.size === size);
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
