// Round trips as TCP handshakes: connects on a schedule, each measured by the kernel where ss can be asked (the event loop of a
// process that moves a gigabit a second would add its own delay), else by the event loop.
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { SsSocket } from "../parsers/ss.ts";
import { type Dialled, dial, hangUp, type Peer } from "../probes/endpoint.ts";

/** SYN, SYN/ACK, ACK and the reset with their headers, and an acknowledgement to spare: bytes on the line. */
export const HANDSHAKE_BYTES = 400;
/** First retransmission of a SYN (RFC 6298 section 2.1), ms: a connect that takes this much longer than its round trip lost one. */
const SYN_RTO_MS = 1000;
/** Connections kept open for the kernel to be asked, at most; the oldest then goes by the event loop's figure. */
const OPEN_MOST = 16;

export interface Handshake {
  /** When it began, monotonic ms. */
  readonly at: number;
  /** null for one that lost a packet or had no answer. */
  readonly rtt_ms: number | null;
  readonly by: "kernel" | "loop";
}

interface Waiting {
  readonly socket: Socket;
  readonly at: number;
  readonly ms: number;
}

export interface HandshakeOrder {
  readonly every_ms: number;
  readonly most: number;
  readonly timeout_ms: number;
  /** Asked before each; false leaves it out. */
  allow(): boolean;
}

export class Handshakes {
  readonly results: Handshake[] = [];
  /** How the first one that failed did so. */
  failed: Exclude<Dialled, { kind: "connected" }> | undefined;
  /** Own address of the first connection. */
  localAddress: string | undefined;
  readonly #peer: Peer;
  readonly #order: HandshakeOrder;
  readonly #signal: AbortSignal;
  readonly #waiting: Waiting[] = [];
  /** Those under way, and when each began. */
  readonly #pending = new Map<Promise<void>, number>();
  #begun = 0;
  #timer: NodeJS.Timeout | undefined;
  #onIdle: (() => void) | undefined;

  constructor(peer: Peer, order: HandshakeOrder, signal: AbortSignal) {
    this.#peer = peer;
    this.#order = order;
    this.#signal = signal;
  }

  start(): void {
    const start = performance.now();
    const next = () => {
      if (this.#signal.aborted || this.#begun >= this.#order.most) {
        this.stop();
        return;
      }
      this.#begun += 1;
      if (this.#order.allow()) this.#launch();
      // By an absolute schedule: a late one does not delay those behind it.
      const due = start + this.#begun * this.#order.every_ms;
      this.#timer = setTimeout(next, Math.max(0, due - performance.now()));
    };
    next();
  }

  /** Begins no more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#onIdle?.();
  }

  /** Resolves when all have been begun, or `stop` was called, and then have ended. */
  async all(): Promise<void> {
    if (this.#begun < this.#order.most && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.settled();
  }

  /** Resolves when those begun have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending.keys());
  }

  /** Connections the kernel has not been asked about. */
  get open(): readonly Socket[] {
    return this.#waiting.map(({ socket }) => socket);
  }

  /** The round trip just now as the event loop sees it, ms: the newest one, or the longest that is still unanswered. */
  delay(now: number): number {
    const newest = this.#waiting.at(-1)?.ms ?? this.results.at(-1)?.rtt_ms ?? 0;
    return [...this.#pending.values()].reduce((most, at) => Math.max(most, now - at), newest);
  }

  /** Takes what the kernel says of the connections; those it does not know keep the event loop's figure. */
  settle(figures: ReadonlyMap<Socket, SsSocket>, asked: readonly Socket[]): void {
    for (const socket of asked) {
      const index = this.#waiting.findIndex((waiting) => waiting.socket === socket);
      const [waiting] = index < 0 ? [] : this.#waiting.splice(index, 1);
      if (waiting !== undefined) this.#keep(waiting, figures.get(socket)?.info.rtt_ms ?? undefined);
    }
  }

  /** Closes what is open. */
  end(): void {
    this.stop();
    this.settle(new Map(), this.open);
  }

  #launch(): void {
    const at = performance.now();
    const { socket, outcome } = dial(this.#peer, this.#order.timeout_ms, this.#signal);
    const done: Promise<void> = outcome.then((dialled) => {
      this.#pending.delete(done);
      this.localAddress ??= socket.localAddress;
      if (dialled.kind === "connected") {
        this.#waiting.push({ socket, at, ms: dialled.ms });
        const [oldest] = this.#waiting;
        if (this.#waiting.length > OPEN_MOST && oldest !== undefined) this.settle(new Map(), [oldest.socket]);
        return;
      }
      hangUp(socket);
      if (dialled.kind === "stopped") return;
      this.failed ??= dialled;
      this.results.push({ at, rtt_ms: null, by: "loop" });
    });
    this.#pending.set(done, at);
  }

  #keep({ socket, at, ms }: Waiting, kernel: number | undefined): void {
    hangUp(socket);
    // Without the kernel's figure a long round trip and a lost SYN look the same from a second on.
    const lost = kernel === undefined ? ms >= SYN_RTO_MS : ms - kernel > SYN_RTO_MS / 2;
    const rtt_ms = lost ? null : Math.min(kernel ?? ms, ms);
    this.results.push({ at, rtt_ms, by: kernel === undefined ? "loop" : "kernel" });
  }
}
