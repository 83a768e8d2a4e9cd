// Reads what ping prints: iputils, BusyBox, GNU inetutils and the BSD ping of macOS. Text in, facts out; nothing is guessed.

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
  /** Milliseconds; null when the payload is too small to carry a time stamp. */
  readonly rtt: number | null;
  readonly duplicate: boolean;
  readonly truncated: boolean;
  /** The checksum or the content was wrong. */
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

/** Milliseconds. */
export interface PingRoundTrips {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly stddev: number | null;
}

export interface PingSummary {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  /** Over all replies, duplicates included; null where the tool printed none. */
  readonly rtt: PingRoundTrips | null;
}

export interface PingOutput {
  /** In order of arrival. */
  readonly replies: readonly PingReply[];
  readonly errors: readonly PingIcmpError[];
  /** null when the tool was killed before its summary. */
  readonly summary: PingSummary | null;
}

// `64 bytes from 10.0.0.1: icmp_seq=1 ttl=62 time=20.2 ms (DUP!)`, with -D a time in front, `seq=` in BusyBox, and on macOS
// IPv6 `16 bytes from fd00::1, icmp_seq=0 hlim=62 time=20.2 ms`.
const REPLY =
  /^(?:\[\d+\.\d+\] )?(\d{1,6}) bytes from (\S+(?: \([^)]*\))?)[:,] (?:icmp_)?seq=(\d{1,6})(?: (?:ttl|hlim)=(\d{1,3}))?(?: time=(\d{1,9}(?:\.\d{1,6})?) ms)?((?: \([A-Z !]+\)| \(truncated\)| DUP!)*)$/i;
// `From 10.0.0.9 icmp_seq=1 Destination Host Unreachable`; other pings: `92 bytes from 10.0.0.9: Destination Host Unreachable`.
const ERROR = /^From (\S+?):?(?: \([^)]*\))? icmp_seq=(\d{1,6}) (.+)$/;
const BSD_ERROR = /^\d{1,6} bytes from ([^\s:]+(?::[^\s:]*)*)(?: \([^)]*\))?: ([A-Z][A-Za-z ,:()=\d]+)$/;
const COUNTS =
  /^(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received(?:, \+?(\d{1,6}) duplicates)?(?:, \+\d{1,6} \w+)*, [\d.]+% packet loss/;
const RTTS = /^(?:rtt|round-trip) min\/avg\/max(?:\/(?:mdev|stddev|std-dev))? = ([\d.]+)\/([\d.]+)\/([\d.]+)(?:\/([\d.]+))? ms/;
const LOCAL_TOO_LONG = /message too long(?:, mtu[=:] ?(\d{1,6}))?/i;

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

/** iputils counts requests from 1, everybody else from 0. */
function firstSequence(lines: readonly string[]): 0 | 1 {
  const header = lines.find((line) => /^PING /.test(line)) ?? "";
  return /bytes of data\.$/.test(header) || /^PING \S+ ?\(.*\)(?: from .*)? \d+ data bytes$/.test(header) ? 1 : 0;
}

function readReply(line: string, base: number): PingReply | undefined {
  const match = REPLY.exec(line);
  if (match === null) return undefined;
  const [, bytes, from = "", sequence, ttl, time, remarks = ""] = match;
  const index = Number(sequence) - base;
  if (index < 0) return undefined;
  return {
    index,
    bytes: Number(bytes),
    from: /\(([^)]+)\)$/.exec(from)?.[1] ?? from,
    ttl: ttl === undefined ? null : Number(ttl),
    rtt: time === undefined ? null : Number(time),
    duplicate: /DUP!/i.test(remarks),
    truncated: /truncated/i.test(remarks),
    damaged: /BAD CHECKSUM|wrong data/i.test(remarks),
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
  const mtu = /mtu ?[=:]? ?(\d{1,6})/i.exec(words)?.[1];
  const index = match === null ? null : Number(match[2]) - base;
  return {
    index: index !== null && index < 0 ? null : index,
    from: match?.[1] ?? bsd?.[1] ?? null,
    kind,
    mtu: mtu ? Number(mtu) : null,
  };
}

function readSummary(lines: readonly string[]): PingSummary | null {
  const counts = lines.map((line) => COUNTS.exec(line)).find((match) => match !== null);
  if (counts === undefined) return null;
  const times = lines.map((line) => RTTS.exec(line)).find((match) => match !== null);
  const [min, mean, max] = (times?.slice(1, 4) ?? []).map(Number);
  const stddev = times?.[4] === undefined ? null : Number(times[4]);
  const sane = min !== undefined && mean !== undefined && max !== undefined && min <= mean && mean <= max;
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    duplicates: Number(counts[3] ?? 0),
    rtt: sane ? { min, mean, max, stddev: stddev !== null && Number.isFinite(stddev) ? stddev : null } : null,
  };
}

/**
 * Reads standard output and standard error of one run. A line without its end is ignored: of `time=20.2 ms` cut to
 * `time=2`, the 2 would be an invention.
 */
export function parsePing(stdout: string, stderr = ""): PingOutput {
  const lines = completeLines(stdout);
  const base = firstSequence(lines);
  const replies = lines.map((line) => readReply(line, base)).filter((reply) => reply !== undefined);
  const errors = [...lines, ...completeLines(stderr)].map((line) => readError(line, base)).filter((error) => error !== undefined);
  return { replies, errors, summary: readSummary(lines) };
}

function completeLines(text: string): string[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(/\r$/, ""));
}

/** What a run that printed no measurement complained about. */
export type PingComplaint = "no_permission" | "no_route" | "bad_option" | "name" | undefined;

/** Reads the complaint of a ping that could not start to measure. */
export function pingComplaint(stderr: string): PingComplaint {
  if (/operation not permitted|permission denied|cap_net_raw|must be root|are you root|lacking privilege/i.test(stderr)) {
    return "no_permission";
  }
  if (
    /network is unreachable|no route to host|network is down|cannot assign requested address|address family not supported/i.test(
      stderr,
    )
  ) {
    return "no_route";
  }
  if (/invalid|unrecognized|usage:|unknown option|illegal option|out of range/i.test(stderr)) return "bad_option";
  if (/name or service not known|temporary failure in name|bad address|unknown host|cannot resolve/i.test(stderr)) return "name";
  return undefined;
}
