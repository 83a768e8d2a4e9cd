// The children of one search: the stream of small packets, the streams of single sizes, bursts past the kernel's memory.
import { performance } from "node:perf_hooks";
import { BeyondBurst, beyondTool } from "./mtu-beyond.ts";
import { type Discovery, EchoStream, HEADER_BYTES, leastInterval } from "./mtu-echo.ts";
import { patience } from "./mtu-evidence.ts";
import type { PingTool } from "./ping-tool.ts";

/** Payload of the small packets that tell the loss, and their spacing. */
const CONTROL_PAYLOAD = 56;
const CONTROL_INTERVAL_MS = 50;
const BURSTS_EACH = 2;
const BURST_LEAST_MS = 300;

export interface ChildSetup {
  readonly tool: PingTool;
  readonly address: string;
  readonly family: 4 | 6;
  readonly discovery: Discovery;
  readonly timeout_ms: number;
  /** By the monotonic clock, ms. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

export class MtuChildren {
  /** Bytes of the small packets. */
  readonly small: number;
  readonly control: EchoStream;
  readonly streams: EchoStream[] = [];
  readonly bursts: BeyondBurst[] = [];
  readonly #setup: ChildSetup;
  readonly #onEvent: () => void;
  readonly #beyond = beyondTool();

  constructor(setup: ChildSetup, onEvent: () => void) {
    this.#setup = setup;
    this.#onEvent = onEvent;
    this.small = CONTROL_PAYLOAD + HEADER_BYTES[setup.family];
    this.control = this.echo(this.small, CONTROL_INTERVAL_MS);
  }

  /** All streams that go the whole way. */
  get all(): EchoStream[] {
    return [this.control, ...this.streams];
  }

  /** How many run beside the small packets. */
  get running(): number {
    return [...this.streams, ...this.bursts].filter((each) => each.running).length;
  }

  /** Milliseconds after which an unanswered probe has vanished. */
  get wait_ms(): number {
    const rtts = this.all.flatMap((stream) => stream.rtts);
    return patience(rtts, this.#setup.timeout_ms);
  }

  /** A stream of its own, with a TTL when it is not meant to arrive. */
  echo(size: number, interval_ms: number, ttl?: number): EchoStream {
    const { deadline, ...order } = this.#setup;
    // No two streams keep the same pace: regular loss must not meet always the same one.
    const pace = Math.max(interval_ms, leastInterval(order.tool)) * (1 + 0.03 * (this.streams.length % 5));
    const life_ms = Math.max(1, deadline - performance.now());
    return new EchoStream({ ...order, size, interval_ms: pace, life_ms, ...(ttl === undefined ? {} : { ttl }) }, this.#onEvent);
  }

  /** Starts the stream of a size unless it runs; answers whether it did. */
  start(size: number, interval_ms: number): boolean {
    if (this.streams.some((stream) => stream.running && stream.size === size)) return false;
    this.streams.push(this.echo(size, interval_ms));
    return true;
  }

  /** Sends a size past what the kernel remembers; answers whether it did: one burst at a time, and few of a size. */
  burst(size: number): boolean {
    const tried = this.bursts.filter((burst) => burst.size === size).length;
    if (this.#beyond === undefined || tried >= BURSTS_EACH || this.bursts.some((burst) => burst.running)) return false;
    const { address, signal, deadline } = this.#setup;
    const wait_ms = Math.min(Math.max(BURST_LEAST_MS, this.wait_ms), Math.max(100, deadline - performance.now()));
    this.bursts.push(new BeyondBurst({ file: this.#beyond, address, size, wait_ms, signal }, this.#onEvent));
    return true;
  }

  /** Whether bursts of this size have told what they can. */
  burstsDone(size: number): boolean {
    if (this.#beyond === undefined) return true;
    const tried = this.bursts.filter((burst) => burst.size === size);
    return tried.length >= BURSTS_EACH && tried.every((burst) => !burst.running);
  }

  /** Stops everything and these further streams; answers when no child is left. */
  async end(further: readonly EchoStream[]): Promise<void> {
    const streams = [...this.all, ...further];
    for (const stream of streams) stream.stop();
    await Promise.all([...streams, ...this.bursts].map((each) => each.ended));
  }
}
