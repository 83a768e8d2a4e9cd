// A series of connects on a schedule. Ended ones stay open for a moment, so that one call of ss reads the figures of several.
import { performance } from "node:perf_hooks";
import type { TcpInfo } from "../parsers/ss.ts";
import { waitUntil } from "../wait.ts";
import { type Dial, type Dialled, dial, type Endpoint, hangUp } from "./endpoint.ts";
import type { KernelReader } from "./tcp-kernel.ts";

/** Connections are read and closed when so many wait, or the first has waited so long, milliseconds. */
const HELD_MOST = 10;
const HELD_MS = 1000;

/** One connect as it ended. */
export interface Attempt {
  /** From 0. */
  readonly index: number;
  /** When it began, ms since the series did. */
  readonly at_ms: number;
  readonly dialled: Dialled;
  /** The kernel's figures soon after; null where they could not be read. */
  info: TcpInfo | null;
  /** Why an established connection broke before we closed it, as an errno name. */
  broken: string | null;
}

export interface SeriesOrder {
  readonly count: number;
  readonly interval_ms: number;
  readonly timeout_ms: number;
  /** Keeps the last good connection open for sending. */
  readonly keep: boolean;
  readonly tos: number | undefined;
}

/** Connections of a series that are open at once at most: each as long as its time-out, and until its figures are read. */
export const mostOpen = ({ count, interval_ms, timeout_ms }: SeriesOrder): number =>
  Math.min(count, Math.floor((timeout_ms + HELD_MS) / interval_ms) + 1);

interface Held {
  readonly attempt: Attempt;
  readonly dial: Dial;
  readonly since: number;
}

export class ConnectSeries {
  readonly #endpoint: Endpoint;
  readonly #order: SeriesOrder;
  readonly #kernel: KernelReader;
  readonly #signal: AbortSignal;
  readonly #attempts: Attempt[] = [];
  #held: Held[] = [];
  #kept: Held | undefined;
  #reading: Promise<void> = Promise.resolve();
  #unmarked = false;

  constructor(endpoint: Endpoint, order: SeriesOrder, kernel: KernelReader, signal: AbortSignal) {
    this.#endpoint = endpoint;
    this.#order = order;
    this.#kernel = kernel;
    this.#signal = signal;
  }

  /** Connects that ended so far, in their order. */
  get attempts(): readonly Attempt[] {
    return [...this.#attempts].sort((a, b) => a.index - b.index);
  }

  /** The connection kept open, and the attempt that made it. */
  get kept(): { readonly attempt: Attempt; readonly dial: Dial } | undefined {
    return this.#kept;
  }

  /** Whether a connection did not take its DSCP. */
  get unmarked(): boolean {
    return this.#unmarked;
  }

  /** Runs to the end of the last connect. Each starts on time, whether or not those before it ended. */
  async run(onEnd: (attempt: Attempt) => void): Promise<void> {
    const start = performance.now();
    const ends: Promise<void>[] = [];
    for (let index = 0; index < this.#order.count; index++) {
      if (!(await waitUntil(start + index * this.#order.interval_ms, this.#signal))) break;
      ends.push(this.#connect(index, start, onEnd));
    }
    await Promise.all(ends);
    this.#readHeld();
    await this.#reading;
  }

  async #connect(index: number, start: number, onEnd: (attempt: Attempt) => void): Promise<void> {
    const at_ms = performance.now() - start;
    const connection = dial(this.#endpoint, this.#order.timeout_ms, this.#signal);
    const dialled = await connection.outcome;
    if (dialled.kind === "connected") this.#mark(connection);
    const attempt: Attempt = { index, at_ms, dialled, info: null, broken: null };
    this.#attempts.push(attempt);
    onEnd(attempt);
    if (dialled.kind === "error" || dialled.kind === "stopped") {
      hangUp(connection.socket);
      return;
    }
    this.#held.push({ attempt, dial: connection, since: performance.now() });
    const oldest = this.#held[0]?.since ?? 0;
    const full = this.#held.length >= HELD_MOST || performance.now() - oldest >= HELD_MS;
    if (full || this.#order.interval_ms >= HELD_MS) this.#readHeld();
  }

  /** Marks what is sent from now on; a socket takes a TOS only once it is connected. */
  #mark({ socket }: Dial): void {
    if (this.#order.tos === undefined) return;
    try {
      socket.setTypeOfService(this.#order.tos);
    } catch {
      // A system that refuses, or a peer that was quicker to close: the result says that nothing was marked.
      this.#unmarked = true;
    }
  }

  /** Reads the figures of the held connections, one call of ss after the other, and closes them. */
  #readHeld(): void {
    const held = this.#held;
    this.#held = [];
    this.#reading = this.#reading.then(() => this.#readAndClose(held));
  }

  async #readAndClose(held: readonly Held[]): Promise<void> {
    const asked = held.map(({ dial }) => dial.socket);
    const figures = await this.#kernel.read(asked, this.#endpoint.port);
    for (const each of held) {
      each.attempt.info = figures.get(each.dial.socket)?.info ?? null;
      this.#close(each);
    }
  }

  #close(held: Held): void {
    const { attempt, dial } = held;
    if (attempt.dialled.kind === "connected") attempt.broken = dial.broken() ?? null;
    const good = attempt.dialled.kind === "connected" && attempt.broken === null;
    if (!this.#order.keep || !good || this.#signal.aborted) {
      hangUp(dial.socket);
      return;
    }
    if (this.#kept !== undefined) hangUp(this.#kept.dial.socket);
    this.#kept = held;
  }
}
