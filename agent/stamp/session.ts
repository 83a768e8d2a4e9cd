// One STAMP session under way: opening, stream and closing packets on one socket.
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { STAMP_AROUND_S } from "#contract/test-types/stamp";
import { startWallClock } from "./clock.ts";
import { isStateless } from "./direction.ts";
import { type Exchange, Ledger, type Role } from "./ledger.ts";
import { type LineEvents, StampLine } from "./line.ts";
import type { ErrorEstimate } from "./packet.ts";
import type { AnsweredPacket, StampOrder, StampRun } from "./sender.ts";

const UNKNOWN_CLOCK: ErrorEstimate = { synchronised: false, ptp: false, error_ms: null };
/** Most packets around the stream. */
const EXTRA = { opening: 3, closing: 10 } as const;
/** Refusals, or packets the kernel did not send, after which a reflector that never answered is given up. */
const GIVE_UP = 3;
/** Between two openings when the first was refused at once, ms. */
const RETRY_MS = 50;
/** A timer counts whole milliseconds; what is due within this time is sent now, ms. */
const EARLY_MS = 0.3;
/** Between two closing packets: a little more than the longest round trip, but so that there is time for all of them, ms. */
const CLOSING_GAP = { least: 50, most: (STAMP_AROUND_S.closing * 1000) / (EXTRA.closing + 2) } as const;
/** The last of them is waited for a few times the longest round trip, ms. */
const PATIENCE = { times: 3, least: 100, most: 1000 } as const;
/** Repeated answers may come after the last answer: waited for as long as answers differed, ms. */
const LINGER = { least: 20, most: 200 } as const;

const clamp = (value: number, { least, most }: { least: number; most: number }): number => Math.min(most, Math.max(least, value));

/** The packets of one run going out and coming back. */
export class Session {
  readonly ledger: Ledger;
  readonly errors: Record<string, number> = {};
  readonly sent = new Map<Exchange, { sent_ms: number; late_ms: number }>();
  readonly #order: StampOrder;
  readonly #wall = startWallClock();
  readonly #roundTrip = { least: Number.POSITIVE_INFINITY, most: 0 };
  readonly #events: LineEvents;
  #line: StampLine | undefined;
  #refusals = 0;
  #unsent = 0;
  #wake: () => void = () => {};

  constructor(order: StampOrder) {
    const { packet_bytes, timeout_ms, session, estimate = UNKNOWN_CLOCK } = order;
    this.#order = order;
    this.ledger = new Ledger({ packet_bytes, timeout_ms, session, estimate, now: this.#wall.now });
    this.#events = {
      onMessage: (bytes, from) => this.#receive(bytes, from),
      onError: (errno) => this.#fail(errno),
    };
  }

  get stepped_ms(): number {
    return this.#wall.stepped();
  }

  get aligned_ms(): number {
    return this.#wall.error_ms;
  }

  /** Epoch ms by the clock that stamps the packets. */
  now(): number {
    return this.#wall.now();
  }

  /** Why going on makes no sense, if that is so. */
  get end(): StampRun["end"] {
    if (this.ledger.answered === 0 && this.#unsent >= GIVE_UP) return "unsendable";
    if (this.ledger.answered === 0 && this.#refusals >= GIVE_UP) return "refused";
    return this.#order.signal.aborted ? "cut" : "complete";
  }

  async open(): Promise<boolean> {
    const line = await StampLine.open(this.#order.address, this.#order.port, this.#events);
    if ("errno" in line) {
      this.errors[line.errno] ??= 1;
      this.#unsent = GIVE_UP;
      return false;
    }
    this.#line = line;
    return true;
  }

  close(): void {
    this.#line?.close();
  }

  #receive(bytes: Buffer, from: { address: string; port: number }): void {
    const t4 = this.#wall.now();
    // Before the socket was connected, anybody could write to its port.
    if (from.port !== this.#order.port || !sameAddress(from.address, this.#order.address)) {
      this.ledger.rejected.foreign += 1;
      return;
    }
    const exchange = this.ledger.receive(bytes, t4);
    if (exchange === undefined) return;
    const took = t4 - exchange.t1;
    this.#roundTrip.least = Math.min(this.#roundTrip.least, took);
    this.#roundTrip.most = Math.max(this.#roundTrip.most, took);
    const answer = exchange.role === "stream" ? answerOf(exchange) : null;
    if (answer !== null) this.#order.onReply?.(answer);
    this.#wake();
  }

  #fail(errno: string): void {
    this.errors[errno] = (this.errors[errno] ?? 0) + 1;
    if (errno === "ECONNREFUSED") this.#refusals += 1;
    this.#wake();
  }

  #send(role: Role, index: number): Exchange {
    const { exchange, stamp } = this.ledger.next(role, index);
    const failed = (errno: string) => {
      exchange.unsent = errno;
      if (errno !== "ECONNREFUSED") this.#unsent += 1;
      this.#wake();
    };
    this.#line?.send(stamp, failed);
    return exchange;
  }

  /** Waits until that is so, for so long, or until the run is over. */
  #until(done: () => boolean, ms: number): Promise<void> {
    const { signal } = this.#order;
    if (done() || this.end !== "complete" || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#wake = () => {
        if (done() || this.end !== "complete") finish();
      };
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  /**
   * Learns where the reflector's count stands, and whether anything is there, before the stream: which way a packet was lost
   * that went ahead of the first answer would else stay unknown. Our own reflectors begin at 0.
   */
  async opening(): Promise<void> {
    if (this.#order.session !== undefined) return;
    const wait = (STAMP_AROUND_S.opening * 1000) / EXTRA.opening;
    for (let i = 0; i < EXTRA.opening && this.end === "complete" && this.ledger.answered === 0; i++) {
      const refused = this.#refusals + this.#unsent;
      this.#send("opening", i);
      await this.#until(() => this.ledger.answered > 0 || this.#refusals + this.#unsent > refused, wait);
      if (this.#refusals + this.#unsent > refused) await this.#until(() => this.ledger.answered > 0, RETRY_MS);
    }
  }

  async stream(): Promise<void> {
    const { count, interval_ms, timeout_ms, onSend } = this.#order;
    const start = performance.now();
    for (let i = 0; i < count && this.end === "complete"; i++) {
      const due = start + i * interval_ms;
      for (let wait = due - performance.now(); wait > EARLY_MS; wait = due - performance.now()) {
        await this.#until(() => false, Math.ceil(wait));
        if (this.end !== "complete") return;
      }
      const now = performance.now();
      this.sent.set(this.#send("stream", i), { sent_ms: now - start, late_ms: Math.max(0, now - due) });
      onSend?.(i);
    }
    const stream = [...this.sent.keys()];
    const settled = () => stream.every(({ reply, unsent }) => reply !== undefined || unsent !== undefined);
    await this.#until(settled, timeout_ms);
    const { least, most } = this.#roundTrip;
    if (this.ledger.answered > 0) await this.#until(() => false, clamp(most - least, LINGER));
  }

  /** Asks where the reflector's count stands now, when packets after the last answered one are missing. */
  async closing(): Promise<void> {
    const stream = [...this.sent.keys()];
    const isOpen = stream.length > 0 && stream.at(-1)?.reply === undefined && this.ledger.answered > 0;
    if (!isOpen || isStateless(this.ledger.exchanges)) return;
    const over = performance.now() + STAMP_AROUND_S.closing * 1000;
    const gap = clamp(this.#roundTrip.most * 1.1, CLOSING_GAP);
    const closed = () => this.ledger.exchanges.some(({ role, reply }) => role === "closing" && reply !== undefined);
    for (let i = 0; i < EXTRA.closing && this.end === "complete" && !closed(); i++) {
      this.#send("closing", i);
      await this.#until(closed, gap);
    }
    const patience = clamp(this.#roundTrip.most * PATIENCE.times, PATIENCE);
    await this.#until(closed, Math.min(patience, over - performance.now()));
  }
}

/** Addresses as the kernel prints them, without the zone of link-local ones. */
function sameAddress(from: string, to: string): boolean {
  const bare = (address: string) => address.replace(/%.*$/, "");
  if (bare(from) === bare(to)) return true;
  // An IPv6 literal may be written in several ways; a connected socket has compared the bytes already.
  return isIP(from) === 6 && isIP(to) === 6;
}

/** Times of an exchange as they are told; null while there is no answer. */
export function answerOf({ index, t1, reply }: Exchange): AnsweredPacket | null {
  if (reply === undefined) return null;
  const { t2, t3, t4, sequence, timed } = reply;
  return { seq: index, t1, t2, t3, t4, reflector_seq: sequence, rtt_ms: timed ? t4 - t1 - (t3 - t2) : null };
}
