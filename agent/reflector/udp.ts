// The STAMP session-reflector (RFC 8762 section 4.3), stateful: its own sequence number in each session shows which way a packet was lost.
import type { RemoteInfo, Socket } from "node:dgram";
import { hostClock } from "../host-clock.ts";
import { BASE_LENGTH, decodeSender, encodeReflection, isReflection, type StampMode, verifyMac } from "../stamp/packet.ts";
import { TokenBucket } from "./bucket.ts";
import type { ReflectorClock } from "./clock.ts";
import type { HeldKey, Keyring } from "./keyring.ts";
import { UDP_LIMITS } from "./limits.ts";
import { ProvedSenders } from "./proved-senders.ts";
import { type ReflectorSession, type SessionName, SessionTable } from "./udp-sessions.ts";

/** Why packets got no answer. Nothing is ever sent back to say so. */
export interface UdpRefusals {
  /** Shorter than the mode's base packet, or from port 0, where no answer can go. */
  short: number;
  /** An answer of a reflector, not a question. */
  reflection: number;
  /** No secret in force explains the HMAC. */
  unauthenticated: number;
  /** Beyond the rate of its session, of all, or of packets that nobody vouches for. */
  rate: number;
  /** A new session where there are as many as there may be. */
  full: number;
}

export interface UdpStats {
  /** Sessions begun since the start. */
  sessions: number;
  answered: number;
  refused: UdpRefusals;
  /** Answers the system did not send. */
  unsent: number;
}

interface Parts {
  /** Bound; an answer leaves by the one its question came to. */
  readonly sockets: readonly Socket[];
  readonly keyring: Keyring;
  readonly clock: ReflectorClock;
  /** Whether packets without authentication are answered too. */
  readonly open: boolean;
  onBegin(session: ReflectorSession): void;
  onEnd(session: ReflectorSession): void;
}

const SWEEP_MS = 1000;

/**
 * Answers senders on bound sockets until closed. A recorded packet sent again is answered again, within the rate of its
 * session: duplicates made by the network are what a sender measures, and an answer is never longer than its question.
 */
export class UdpReflector {
  readonly stats: UdpStats = {
    sessions: 0,
    answered: 0,
    refused: { short: 0, reflection: 0, unauthenticated: 0, rate: 0, full: 0 },
    unsent: 0,
  };
  readonly #parts: Parts;
  readonly #table = new SessionTable();
  readonly #total: TokenBucket;
  readonly #strangers: TokenBucket;
  readonly #proved = new ProvedSenders();
  readonly #sweeper: NodeJS.Timeout;
  readonly #hearing: readonly { readonly socket: Socket; readonly receive: (packet: Buffer, from: RemoteInfo) => void }[];

  constructor(parts: Parts) {
    const now = performance.now();
    this.#parts = parts;
    this.#total = new TokenBucket(UDP_LIMITS.totalRate, UDP_LIMITS.totalBurst, now);
    this.#strangers = new TokenBucket(UDP_LIMITS.strangerRate, UDP_LIMITS.strangerBurst, now);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#hearing = parts.sockets.map((socket) => ({
      socket,
      receive: (packet, from) => this.#answer(packet, { socket, from }, this.#parts.clock.now()),
    }));
    for (const { socket, receive } of this.#hearing) socket.on("message", receive);
  }

  /** Sessions that run. */
  sessions(): readonly ReflectorSession[] {
    return this.#table.all();
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const { socket, receive } of this.#hearing) socket.off("message", receive);
    for (const session of this.#table.end(() => true)) this.#parts.onEnd(session);
  }

  #answer(packet: Buffer, { socket, from }: { socket: Socket; from: RemoteInfo }, received_ms: number): void {
    const now = performance.now();
    const session = this.#sessionOf(packet, from, now);
    if (typeof session === "string") {
      this.stats.refused[session] += 1;
      return;
    }
    if (!session.answers.take(now) || !this.#total.take(now)) {
      session.refused += 1;
      this.stats.refused.rate += 1;
      return;
    }
    session.lastHeard = now;
    session.highest = Math.max(session.highest, packet.readUInt32BE(0));
    const { clock } = this.#parts;
    const sequence = session.answered;
    const facts = { sequence, received_ms, estimate: clock.estimate(), ttl: null, sent_ms: clock.now() };
    const reply = encodeReflection(packet, facts, session.held?.key);
    if (reply === undefined) return;
    session.answered += 1;
    this.stats.answered += 1;
    socket.send(reply, from.port, from.address, (error) => {
      if (error !== null) this.stats.unsent += 1;
    });
  }

  /** The session a packet belongs to, begun if need be, or why it gets no answer. What costs nothing is asked first. */
  #sessionOf(packet: Buffer, from: RemoteInfo, now: number): ReflectorSession | keyof UdpRefusals {
    const { open, keyring } = this.#parts;
    const keyed = packet.length >= BASE_LENGTH.authenticated && keyring.inForce(hostClock.now()).length > 0;
    if ((!keyed && !(open && packet.length >= BASE_LENGTH.open)) || from.port === 0) return "short";
    if (this.#total.left(now) < 1) return "rate";
    const found = keyed ? this.#authenticated(packet, from, now) : "unauthenticated";
    return open && found === "unauthenticated" ? this.#unauthenticated(packet, from, now) : found;
  }

  #authenticated(packet: Buffer, from: RemoteInfo, now: number): ReflectorSession | keyof UdpRefusals {
    if (isReflection(packet, "authenticated")) return "reflection";
    const { name, sequence } = identify(packet, from, "authenticated");
    const known = this.#table.find(name, true);
    if (known?.held !== undefined) return this.#known(known, known.held, packet, now);
    const proved = this.#prove(packet, name.ssid, now);
    return typeof proved === "string" ? proved : this.#begin(name, proved, sequence, now);
  }

  #known(session: ReflectorSession, held: HeldKey, packet: Buffer, now: number): ReflectorSession | keyof UdpRefusals {
    const affordable = session.answers.left(now) >= 1 && session.checks.take(now);
    if (affordable && verifyMac(packet, held.key)) return session;
    session.refused += 1;
    if (!affordable) return "rate";
    // Its sender may have gone on to the next secret under the same name.
    const other = this.#prove(packet, session.name.ssid, now);
    if (typeof other === "string") return other;
    for (const old of this.#table.end((one) => one === session)) this.#parts.onEnd(old);
    return this.#begin(session.name, other, packet.readUInt32BE(0), now);
  }

  /**
   * The key that explains a packet's HMAC. Who claims a name that was proved lately spends that name's tries, so that a flood of
   * strangers does not cost a new session its first packets; then, as all others do, those that strangers have together.
   */
  #prove(packet: Buffer, ssid: number, now: number): HeldKey | "rate" | "unauthenticated" {
    const keyring = this.#parts.keyring;
    const moment = hostClock.now();
    const cost = keyring.inForce(moment).length;
    if (!this.#proved.take(ssid, now, cost) && !this.#strangers.take(now, cost)) return "rate";
    const proved = ssid === 0 ? undefined : keyring.keysOf(ssid, moment).find(({ key }) => verifyMac(packet, key));
    if (proved === undefined) return "unauthenticated";
    keyring.remember(proved, ssid);
    this.#proved.remember(ssid, now);
    return proved;
  }

  #unauthenticated(packet: Buffer, from: RemoteInfo, now: number): ReflectorSession | keyof UdpRefusals {
    if (isReflection(packet, "open")) return "reflection";
    const { name, sequence } = identify(packet, from, "open");
    return this.#table.find(name, false) ?? this.#begin(name, undefined, sequence, now);
  }

  #begin(name: SessionName, held: HeldKey | undefined, first: number, now: number): ReflectorSession | "full" {
    const session = this.#table.open(name, held, first, now);
    if (session === undefined) return "full";
    this.stats.sessions += 1;
    this.#parts.onBegin(session);
    return session;
  }

  /** Ends what is silent, and what runs on a secret that no longer holds. */
  #sweep(): void {
    const now = performance.now();
    const inForce = this.#parts.keyring.inForce(hostClock.now());
    const holds = ({ secret }: HeldKey) => inForce.some((one) => Buffer.compare(one.secret, secret.secret) === 0);
    const isCrowded = this.#table.size > UDP_LIMITS.sessions / 2;
    const patience_ms = isCrowded ? UDP_LIMITS.idleCrowded_ms : UDP_LIMITS.idle_ms;
    const over = this.#table.end(
      (session) => now - session.lastHeard > patience_ms || (session.held !== undefined && !holds(session.held)),
    );
    for (const session of over) this.#parts.onEnd(session);
    this.#parts.clock.attend?.(this.#table.size);
  }
}

/** The session a packet claims to be of, and its number there. */
function identify(packet: Buffer, { address, port }: RemoteInfo, mode: StampMode): { name: SessionName; sequence: number } {
  const told = decodeSender(packet, mode);
  return { name: { address, port, ssid: told?.ssid ?? 0 }, sequence: told?.sequence ?? 0 };
}
