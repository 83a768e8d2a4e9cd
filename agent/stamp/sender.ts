// The STAMP session-sender (RFC 8762 section 4.2): a stream of numbered, time-stamped packets on an absolute schedule.
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { STAMP_AROUND_S } from "#contract/test-types/stamp";
import type { SessionKey } from "../peer.ts";
import { startWallClock } from "./clock.ts";
import { attributeLoss, isStateless, type LossSplit } from "./direction.ts";
import { type Duplicates, type Exchange, Ledger, type Rejected, type Role } from "./ledger.ts";
import { type LineEvents, StampLine } from "./line.ts";
import type { ErrorEstimate } from "./packet.ts";

export interface StampOrder {
  /** IP literal of the reflector. */
  readonly address: string;
  readonly port: number;
  /** Packets of the stream, one every `interval_ms`. */
  readonly count: number;
  readonly interval_ms: number;
  /** UDP payload; padded up to the base packet, 44 bytes or 112 with a session. */
  readonly packet_bytes: number;
  /** An answer that takes longer counts as lost. */
  readonly timeout_ms: number;
  /** Key of the reflector: authenticated mode. Such a reflector is one of ours, which counts each session from 0. */
  readonly session?: SessionKey | undefined;
  /** What this host knows about its own clock, as the packets say it; default nothing. */
  readonly estimate?: ErrorEstimate | undefined;
  /** Ends the run at once; what was sent too short ago to be called lost is then `undecided`. */
  readonly signal: AbortSignal;
  /** Called with each packet of the stream when its first answer comes. */
  readonly onReply?: ((packet: AnsweredPacket) => void) | undefined;
  /** Called with each packet of the stream when it is sent. */
  readonly onSend?: ((seq: number) => void) | undefined;
}

/**
 * `answered` in time; `late` after the time-out; `lost_up` before the reflector, `lost_down` after it, `lost` where that is not
 * known of this very packet; `undecided` when the run ended before its time-out.
 */
export type Fate = "answered" | "late" | "lost_up" | "lost_down" | "lost" | "undecided";

/** Times of one exchange: epoch ms, T1 and T4 by our clock, T2 and T3 by the reflector's. */
export interface AnsweredPacket {
  readonly seq: number;
  readonly t1: number;
  readonly t2: number;
  readonly t3: number;
  readonly t4: number;
  readonly reflector_seq: number;
  /** (T4 − T1) − (T3 − T2), ms; null where the reflector's timestamps cannot be times of this exchange. */
  readonly rtt_ms: number | null;
}

export interface StampPacket {
  /** Place in the stream, from 0. */
  readonly seq: number;
  /** Since the stream's start, ms; due at seq · interval_ms. */
  readonly sent_ms: number;
  /** How long after its due time it was sent, ms. */
  readonly late_ms: number;
  readonly fate: Fate;
  /** Times of an answered or late packet. */
  readonly answer: AnsweredPacket | null;
}

export interface StampRun {
  /** Packets of the stream that were sent, in order: `count` of them unless the run was cut short. */
  readonly packets: readonly StampPacket[];
  readonly loss: LossSplit;
  readonly duplicates: Readonly<Duplicates>;
  readonly rejected: Readonly<Rejected>;
  /** Packets around the stream that only ask for the reflector's count; part of no figure. */
  readonly extra: { readonly opening: Asked; readonly closing: Asked };
  /** What the reflector says about its clock: the worst of its answers; null without an answer. */
  readonly reflector: ErrorEstimate | null;
  /** How far this host's clock was set during the run, ms. */
  readonly stepped_ms: number;
  /** How exactly T1 and T4 are this host's time, ms. */
  readonly aligned_ms: number;
  readonly packet_bytes: number;
  /**
   * `complete`; `cut` by the signal; `refused`: ICMP says that nothing listens there, and nothing ever answered; `unsendable`:
   * this host's kernel sent nothing.
   */
  readonly end: "complete" | "cut" | "refused" | "unsendable";
  /** ICMP errors and those of this host's kernel, by errno name. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Asked {
  readonly sent: number;
  readonly answered: number;
}

const UNKNOWN_CLOCK: ErrorEstimate = { synchronised: false, ptp: false, error_ms: null };
/** Most packets around the stream. */
const EXTRA = { opening: 3, closing: 10 } as const;
/** Refusals, or packets the kernel did not send, after which a reflector that never answered is given up. */
const GIVE_UP = 3;
/** Between two openings when the first was refused at once, ms. */
const RETRY_MS = 50;
/** A timer counts whole milliseconds; what is due within this time is sent now, ms. */
const EARLY_MS = 0.3;
/** How long a closing packet is waited for: a few times the longest round trip, ms. */
const PATIENCE = { times: 3, least: 100, most: 1000 } as const;
/** Repeated answers may come after the last answer: waited for as long as answers differed, ms. */
const LINGER = { least: 20, most: 200 } as const;

const clamp = (value: number, { least, most }: { least: number; most: number }): number => Math.min(most, Math.max(least, value));

class Session {
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
    this.#line?.send(stamp, failed, this.#events);
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
    const patience = clamp(this.#roundTrip.most * PATIENCE.times, PATIENCE);
    const over = performance.now() + STAMP_AROUND_S.closing * 1000 - patience;
    for (let i = 0; i < EXTRA.closing && this.end === "complete" && performance.now() <= over; i++) {
      const last = this.#send("closing", i);
      const closed = () => this.ledger.exchanges.some(({ role, reply }) => role === "closing" && reply !== undefined);
      await this.#until(closed, last.unsent === undefined ? patience : RETRY_MS);
      if (closed()) return;
    }
  }
}

/** Addresses as the kernel prints them, without the zone of link-local ones. */
function sameAddress(from: string, to: string): boolean {
  const bare = (address: string) => address.replace(/%.*$/, "");
  if (bare(from) === bare(to)) return true;
  // An IPv6 literal may be written in several ways; a connected socket has compared the bytes already.
  return isIP(from) === 6 && isIP(to) === 6;
}

function answerOf({ index, t1, reply }: Exchange): AnsweredPacket | null {
  if (reply === undefined) return null;
  const { t2, t3, t4, sequence, timed } = reply;
  return { seq: index, t1, t2, t3, t4, reflector_seq: sequence, rtt_ms: timed ? t4 - t1 - (t3 - t2) : null };
}

const asked = (exchanges: readonly Exchange[], role: Role): Asked => {
  const own = exchanges.filter((exchange) => exchange.role === role);
  return { sent: own.length, answered: own.filter(({ reply }) => reply !== undefined).length };
};

/** The worst of what the reflector said about its clock. */
function worstEstimate(exchanges: readonly Exchange[]): ErrorEstimate | null {
  const told = exchanges.flatMap(({ reply }) => (reply === undefined ? [] : [reply.estimate]));
  if (told.length === 0) return null;
  const errors = told.map(({ error_ms }) => error_ms);
  return {
    synchronised: told.every(({ synchronised }) => synchronised),
    ptp: told.some(({ ptp }) => ptp),
    error_ms: errors.includes(null) ? null : Math.max(...errors.map((error) => error ?? 0)),
  };
}

function report(session: Session, order: StampOrder): StampRun {
  const { ledger, end } = session;
  const { exchanges } = ledger;
  const cutAt = end === "cut" ? session.now() : Number.POSITIVE_INFINITY;
  const isUndecided = ({ t1, reply, unsent }: Exchange) =>
    reply === undefined && unsent === undefined && cutAt - t1 < order.timeout_ms;
  const loss = attributeLoss({
    exchanges,
    spare: ledger.spare,
    undecided: isUndecided,
    startsAtZero: order.session !== undefined,
  });
  const packets = [...session.sent].map(([exchange, { sent_ms, late_ms }]): StampPacket => {
    const { index, reply } = exchange;
    const fate = isUndecided(exchange) ? "undecided" : (loss.fates.get(index) ?? (reply?.late ? "late" : "answered"));
    return { seq: index, sent_ms, late_ms, fate, answer: answerOf(exchange) };
  });
  return {
    packets,
    loss,
    duplicates: ledger.duplicates,
    rejected: ledger.rejected,
    extra: { opening: asked(exchanges, "opening"), closing: asked(exchanges, "closing") },
    reflector: worstEstimate(exchanges),
    stepped_ms: session.stepped_ms,
    aligned_ms: session.aligned_ms,
    packet_bytes: ledger.bytes,
    end,
    errors: session.errors,
  };
}

/**
 * Sends the stream and waits for its answers: at most `STAMP_AROUND_S.opening` before it, its own length and time-out, and
 * `STAMP_AROUND_S.closing` after it. Never rejects.
 */
export async function runStamp(order: StampOrder): Promise<StampRun> {
  const session = new Session(order);
  try {
    if (await session.open()) {
      await session.opening();
      await session.stream();
      await session.closing();
    }
    return report(session, order);
  } finally {
    session.close();
  }
}
