// The STAMP session-sender (RFC 8762 section 4.2): a stream of numbered, time-stamped packets on an absolute schedule.
import type { SessionKey } from "../peer.ts";
import { attributeLoss, type LossSplit } from "./direction.ts";
import type { Duplicates, Exchange, Rejected, Role } from "./ledger.ts";
import type { ErrorEstimate } from "./packet.ts";
import { answerOf, Session } from "./session.ts";

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
 * known of this very packet; `undecided` when the run ended before its time-out, or this host's kernel never sent it: what no
 * network saw, no network lost.
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
  /** Packets of the stream that this host's kernel did not send. */
  readonly unsent: number;
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

const asked = (exchanges: readonly Exchange[], role: Role): Asked => {
  const own = exchanges.filter((exchange) => exchange.role === role);
  return { sent: own.length, answered: own.filter(({ reply }) => reply !== undefined).length };
};

/** Whether this host's kernel kept a packet; a refusal in its place tells of one before it. */
const isUnsent = ({ unsent }: Exchange): boolean => unsent !== undefined && unsent !== "ECONNREFUSED";

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
  const isUndecided = (exchange: Exchange) =>
    exchange.reply === undefined && (isUnsent(exchange) || cutAt - exchange.t1 < order.timeout_ms);
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
    unsent: [...session.sent.keys()].filter(isUnsent).length,
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
