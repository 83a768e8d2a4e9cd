// The sessions a UDP reflector keeps: their counts, their rates and their end.
import { TokenBucket } from "./bucket.ts";
import type { HeldKey } from "./keyring.ts";
import { UDP_LIMITS } from "./limits.ts";

/** Where packets of a session come from, and under which identifier. */
export interface SessionName {
  readonly address: string;
  readonly port: number;
  readonly ssid: number;
}

/** One sender as it is seen here; times are monotonic milliseconds. */
export class ReflectorSession {
  readonly name: SessionName;
  /** Absent for a session without authentication. */
  readonly held: HeldKey | undefined;
  readonly began: number;
  lastHeard: number;
  /** Packets that were answered; the next answer's sequence number. */
  answered = 0;
  /** Packets of the session that got no answer: beyond the rate, or with a wrong HMAC. */
  refused = 0;
  /** The sender's first and highest sequence number here. */
  readonly first: number;
  highest: number;
  /** Answers it may have. */
  readonly answers: TokenBucket;
  /** HMACs spent on packets that claim to be of it. */
  readonly checks: TokenBucket;

  constructor(name: SessionName, held: HeldKey | undefined, first: number, now: number) {
    this.name = name;
    this.held = held;
    this.first = first;
    this.highest = first;
    this.began = now;
    this.lastHeard = now;
    this.answers = new TokenBucket(UDP_LIMITS.sessionRate, UDP_LIMITS.sessionBurst, now);
    this.checks = new TokenBucket(2 * UDP_LIMITS.sessionRate, 2 * UDP_LIMITS.sessionBurst, now);
  }

  /** Packets since the first that did not get here, as far as the sender's numbers tell. */
  get missing(): number {
    return Math.max(0, this.highest - this.first + 1 - this.answered - this.refused);
  }
}

const keyOf = ({ address, port, ssid }: SessionName): string => `${address}|${port}|${ssid}`;

/** Who a session is counted against: the sender its key speaks for, else its address. */
const holderOf = ({ address, ssid }: SessionName, authenticated: boolean): string =>
  authenticated ? `ssid ${ssid}` : `address ${address}`;

const holderOfSession = ({ name, held }: ReflectorSession): string => holderOf(name, held !== undefined);

export class SessionTable {
  readonly #sessions = new Map<string, ReflectorSession>();
  /** Sessions of each holder that has one. */
  readonly #counts = new Map<string, number>();

  get size(): number {
    return this.#sessions.size;
  }

  all(): ReflectorSession[] {
    return [...this.#sessions.values()];
  }

  find(name: SessionName, authenticated: boolean): ReflectorSession | undefined {
    const session = this.#sessions.get(keyOf(name));
    return session !== undefined && (session.held !== undefined) === authenticated ? session : undefined;
  }

  /** A new session, or undefined when there are as many as there may be, in all or for its sender. */
  open(name: SessionName, held: HeldKey | undefined, first: number, now: number): ReflectorSession | undefined {
    if (this.#sessions.has(keyOf(name)) || this.#sessions.size >= UDP_LIMITS.sessions) return undefined;
    const holder = holderOf(name, held !== undefined);
    const same = this.#counts.get(holder) ?? 0;
    if (same >= UDP_LIMITS.sessionsPerSsid) return undefined;
    const session = new ReflectorSession(name, held, first, now);
    this.#sessions.set(keyOf(name), session);
    this.#counts.set(holder, same + 1);
    return session;
  }

  /** Ends the sessions of which that is true, and answers them. */
  end(isOver: (session: ReflectorSession) => boolean): ReflectorSession[] {
    const over = this.all().filter(isOver);
    for (const session of over) this.#forget(session);
    return over;
  }

  #forget(session: ReflectorSession): void {
    this.#sessions.delete(keyOf(session.name));
    const holder = holderOfSession(session);
    const left = (this.#counts.get(holder) ?? 1) - 1;
    if (left > 0) this.#counts.set(holder, left);
    else this.#counts.delete(holder);
  }
}
