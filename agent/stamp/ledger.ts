// The packets of one STAMP session: numbered and stamped as they leave, matched with what comes back. Nothing here opens a socket.
import type { SessionKey } from "../peer.ts";
import {
  BASE_LENGTH,
  decodeReflector,
  decodeSender,
  type ErrorEstimate,
  encodeSender,
  type ReflectorPacket,
  readNtpTime,
  type StampMode,
  verifyMac,
} from "./packet.ts";

/** `opening` and `closing` packets are asked about the reflector's count; only `stream` packets are measured. */
export type Role = "opening" | "stream" | "closing";

export interface Reply {
  /** T2 and T3 by the reflector's clock, T4 by ours: epoch milliseconds. */
  readonly t2: number;
  readonly t3: number;
  readonly t4: number;
  /** The reflector's own sequence number. */
  readonly sequence: number;
  readonly estimate: ErrorEstimate;
  /** Whether T2 and T3 can be times of this exchange. */
  readonly timed: boolean;
  /** Whether it came after the time-out. */
  readonly late: boolean;
}

export interface Exchange {
  readonly role: Role;
  /** Place among the packets of its role, from 0. */
  readonly index: number;
  /** Sequence number on the wire. */
  readonly wire: number;
  /** T1, epoch milliseconds. */
  t1: number;
  reply: Reply | undefined;
  /** Why this host's kernel did not send it, as errno name. */
  unsent: string | undefined;
}

/** Datagrams that are no answer to count, by what is wrong with them. */
export interface Rejected {
  /** From another address or port. */
  foreign: number;
  /** Too short for a STAMP reply. */
  malformed: number;
  /** With a wrong HMAC. */
  unauthenticated: number;
  /** Answers to no packet of ours: a sequence number or timestamp we did not send. */
  forged: number;
}

/** A repeated answer with another number was a question twice (RFC 5560 one-way duplication), with the same one an answer twice. */
export interface Duplicates {
  up: number;
  down: number;
}

export interface LedgerOrder {
  readonly packet_bytes: number;
  readonly timeout_ms: number;
  readonly session?: SessionKey | undefined;
  readonly estimate: ErrorEstimate;
  /** The wall clock, epoch milliseconds. */
  now(): number;
}

/** What an unset timestamp reads as. */
const UNSET = readNtpTime(Buffer.alloc(8), 0);
/** Numbers begin at 1: a reflector that counts by itself begins at 0, so that one that copies ours is told apart from it. */
const FIRST = 1;
/** Numbers of repeated answers remembered, for each packet of the run: nobody may fill this host's memory. */
const SPARE_MOST = 4;

/** A reflector's stay cannot be longer than the exchange. */
const isTimed = ({ received_ms: t2, sent_ms: t3 }: ReflectorPacket, t1: number, t4: number): boolean =>
  t2 !== UNSET && t3 !== UNSET && t3 >= t2 && t3 - t2 <= t4 - t1;

export class Ledger {
  readonly exchanges: Exchange[] = [];
  readonly rejected: Rejected = { foreign: 0, malformed: 0, unauthenticated: 0, forged: 0 };
  readonly duplicates: Duplicates = { up: 0, down: 0 };
  /** Further numbers under which the reflector answered a packet. */
  readonly spare: { readonly wire: number; readonly sequence: number }[] = [];
  /** Payload bytes of every packet. */
  readonly bytes: number;
  answered = 0;
  readonly #order: LedgerOrder;
  readonly #mode: StampMode;

  constructor(order: LedgerOrder) {
    this.#order = order;
    this.#mode = order.session === undefined ? "open" : "authenticated";
    this.bytes = Math.max(BASE_LENGTH[this.#mode], order.packet_bytes);
  }

  /** The next packet; `stamp` makes its bytes, with the time at which that is called. */
  next(role: Role, index: number): { exchange: Exchange; stamp: () => Buffer } {
    const exchange: Exchange = {
      role,
      index,
      wire: FIRST + this.exchanges.length,
      t1: Number.NaN,
      reply: undefined,
      unsent: undefined,
    };
    this.exchanges.push(exchange);
    return { exchange, stamp: () => this.#stamp(exchange) };
  }

  #stamp(exchange: Exchange): Buffer {
    const { session, estimate, now } = this.#order;
    const packet = { sequence: exchange.wire, sent_ms: now(), estimate, ssid: session?.ssid ?? 0 };
    const bytes = encodeSender(packet, this.bytes, session?.key);
    // As it stands in the packet, since that is what must come back.
    exchange.t1 = decodeSender(bytes, this.#mode)?.sent_ms ?? packet.sent_ms;
    return bytes;
  }

  /** Books a datagram that came at `t4`; answers the exchange it completes, if it does. */
  receive(bytes: Buffer, t4: number): Exchange | undefined {
    const packet = decodeReflector(bytes, this.#mode);
    if (packet === undefined) {
      this.rejected.malformed += 1;
      return undefined;
    }
    const exchange = this.exchanges[packet.sender.sequence - FIRST];
    if (exchange === undefined || exchange.t1 !== packet.sender.sent_ms) {
      this.rejected.forged += 1;
      return undefined;
    }
    const { session } = this.#order;
    if (session !== undefined && !verifyMac(bytes, session.key)) {
      this.rejected.unauthenticated += 1;
      return undefined;
    }
    return exchange.reply === undefined ? this.#answer(exchange, packet, t4) : this.#repeat(exchange, exchange.reply, packet);
  }

  #answer(exchange: Exchange, packet: ReflectorPacket, t4: number): Exchange {
    const { received_ms: t2, sent_ms: t3, sequence, estimate } = packet;
    const late = t4 - exchange.t1 > this.#order.timeout_ms;
    exchange.reply = { t2, t3, t4, sequence, estimate, timed: isTimed(packet, exchange.t1, t4), late };
    this.answered += 1;
    return exchange;
  }

  #repeat(exchange: Exchange, first: Reply, { sequence }: ReflectorPacket): undefined {
    const twice = sequence !== first.sequence;
    if (exchange.role === "stream") this.duplicates[twice ? "up" : "down"] += 1;
    if (twice && this.spare.length < SPARE_MOST * this.exchanges.length) this.spare.push({ wire: exchange.wire, sequence });
  }
}
