// Reads one line of what ping prints: iputils, BusyBox, GNU inetutils and the BSD ping of macOS. Nothing is guessed.

/** What an ICMP error says, by RFC 792, 1122 and 4443. */
export type IcmpError =
  | "net_unreachable"
  | "host_unreachable"
  | "protocol_unreachable"
  | "port_unreachable"
  | "frag_needed"
  | "source_route_failed"
  | "net_prohibited"
  | "host_prohibited"
  | "filtered"
  | "ttl_exceeded"
  | "other";

export interface PingReply {
  /** Place of the request in the run, from 0. */
  readonly index: number;
  /** Bytes of the ICMP message, header included. */
  readonly bytes: number;
  readonly from: string;
  readonly ttl: number | null;
  /** Milliseconds, never 0; null when the payload is too small to carry a time stamp, or the tool had no time it could believe. */
  readonly rtt: number | null;
  /** Milliseconds the round trip took less than, where that is all the tool can tell. */
  readonly under?: number;
  /** Worth of the last digit printed of the round trip, ms: 1, 0.1, 0.01 or 0.001. */
  readonly step: number | null;
  readonly duplicate: boolean;
  readonly truncated: boolean;
  /** The checksum was wrong. */
  readonly damaged: boolean;
}

export interface PingIcmpError {
  /** null when the line names no request. */
  readonly index: number | null;
  /** The router or host that sent it; null when this host's own kernel refused to send. */
  readonly from: string | null;
  readonly kind: IcmpError;
  /** Next hop's MTU, bytes, where the error names one. */
  readonly mtu: number | null;
}

export type PingEvent =
  | { readonly type: "reply"; readonly reply: PingReply }
  | { readonly type: "error"; readonly error: PingIcmpError }
  /** The next request leaves and this one is not answered yet. */
  | { readonly type: "pending"; readonly index: number }
  /** The reply before carried other data than its request. */
  | { readonly type: "altered" };

// `64 bytes from 10.0.0.1: icmp_seq=1 ttl=62 time=20.2 ms (DUP!)`, with -D a time in front, `seq=` in BusyBox, and on macOS
// IPv6 `16 bytes from fd00::1, icmp_seq=0 hlim=62 time=20.2 ms`.
const REPLY =
  /^(?:\[\d+\.\d+\] )?(\d{1,6}) bytes from (\S+(?: \([^)]*\))?)[:,] (?:icmp_)?seq=(\d{1,6})(?: (?:ttl|hlim)=(\d{1,3}))?(?: time=(\d{1,16}(?:\.\d{1,3})?) ms)?((?: \([A-Z !]+\)| \(truncated\)| DUP!)*)$/i;
// `From 10.0.0.9 icmp_seq=1 Destination Host Unreachable`; other pings: `92 bytes from 10.0.0.9: Destination Host Unreachable`.
const ERROR = /^(?:\[\d+\.\d+\] )?From (\S+?):?(?: \([^)]*\))? icmp_seq=(\d{1,6}) (.+)$/;
const BSD_ERROR = /^\d{1,6} bytes from ([^\s:]+(?::[^\s:]*)*)(?: \([^)]*\))?: ([A-Z][A-Za-z ,:()=\d]+)$/;
// iputils with -O; macOS on its own.
const PENDING = /^(?:(?:\[\d+\.\d+\] )?no answer yet for icmp_seq=|Request timeout for icmp_seq )(\d{1,6})$/;
const ALTERED = /^wrong data byte #\d+ should be /;
const LOCAL_TOO_LONG = /message too long(?:, mtu[=:] ?(\d{1,6})(?!\d))?/i;

const KINDS: readonly (readonly [RegExp, IcmpError])[] = [
  [/^frag(mentation)? needed|^packet too big/i, "frag_needed"],
  [/time to live exceeded|^time exceeded|hop limit/i, "ttl_exceeded"],
  [/packet filtered|communication (administratively )?prohibited|administratively|policy fail|reject route/i, "filtered"],
  [/net(work)? prohibited|net access denied/i, "net_prohibited"],
  [/host prohibited|host access denied/i, "host_prohibited"],
  [/port unreachable/i, "port_unreachable"],
  [/protocol unreachable/i, "protocol_unreachable"],
  [/source route failed/i, "source_route_failed"],
  [/net(work)? (unreachable|unknown)|no route/i, "net_unreachable"],
  [/host (unreachable|unknown)|address unreachable|beyond scope/i, "host_unreachable"],
  [/unreachable/i, "other"],
];

/** The class of an ICMP error by its words (LC_ALL=C), or undefined when the line is no error. */
export function icmpErrorOf(words: string): IcmpError | undefined {
  return KINDS.find(([pattern]) => pattern.test(words))?.[1];
}

/** The number of the first request, by the header line: iputils counts from 1, everybody else from 0. */
function firstSequence(header: string): 0 | 1 {
  return /bytes of data\.$/.test(header) || /^PING \S+ ?\(.*\)(?: from .*)? \d+ data bytes$/.test(header) ? 1 : 0;
}

function readReply(line: string, base: number): PingReply | undefined {
  const match = REPLY.exec(line);
  if (match === null) return undefined;
  const [, bytes, from = "", sequence, ttl, time, remarks = ""] = match;
  const index = Number(sequence) - base;
  if (index < 0) return undefined;
  // No round trip takes no time: iputils prints 0 where the clock was set or the send time damaged.
  const timed = time !== undefined && Number(time) > 0;
  return {
    index,
    bytes: Number(bytes),
    from: /\(([^)]+)\)$/.exec(from)?.[1] ?? from,
    ttl: ttl === undefined ? null : Number(ttl),
    rtt: timed ? Number(time) : null,
    step: timed ? ([1, 0.1, 0.01, 0.001][time.split(".")[1]?.length ?? 0] ?? null) : null,
    duplicate: /DUP!/i.test(remarks),
    truncated: /truncated/i.test(remarks),
    damaged: /BAD CHECKSUM/i.test(remarks),
  };
}

function readError(line: string, base: number): PingIcmpError | undefined {
  const own = LOCAL_TOO_LONG.exec(line);
  if (own !== null && /local error|sendto|sendmsg/i.test(line)) {
    return { index: null, from: null, kind: "frag_needed", mtu: own[1] === undefined ? null : Number(own[1]) };
  }
  const match = ERROR.exec(line);
  const bsd = match === null ? BSD_ERROR.exec(line) : null;
  const words = match?.[3] ?? bsd?.[2];
  const kind = words === undefined ? undefined : icmpErrorOf(words);
  if (words === undefined || kind === undefined) return undefined;
  const mtu = /mtu ?[=:]? ?(\d{1,6})(?!\d)/i.exec(words)?.[1];
  const index = match === null ? null : Number(match[2]) - base;
  return {
    index: index !== null && index < 0 ? null : index,
    from: match?.[1] ?? bsd?.[1] ?? null,
    kind,
    mtu: mtu ? Number(mtu) : null,
  };
}

/** Reads a run's lines in their order; the header tells how its requests are numbered. */
export class PingLines {
  #base: 0 | 1 | undefined;

  /** What a line says, or undefined when it says nothing about a single request. */
  read(line: string): PingEvent | undefined {
    if (this.#base === undefined && line.startsWith("PING ")) {
      this.#base = firstSequence(line);
      return undefined;
    }
    const base = this.#base ?? 0;
    const reply = readReply(line, base);
    if (reply !== undefined) return { type: "reply", reply };
    const pending = PENDING.exec(line);
    if (pending !== null) {
      const index = Number(pending[1]) - base;
      return index < 0 ? undefined : { type: "pending", index };
    }
    if (ALTERED.test(line)) return { type: "altered" };
    const error = readError(line, base);
    return error === undefined ? undefined : { type: "error", error };
  }
}
