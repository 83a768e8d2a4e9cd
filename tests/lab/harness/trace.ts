// The emulator's record of every packet, and what it says a correct measurement must have seen.

export interface Packet {
  /** When the emulator took it and gave it on, microseconds; out is 0 for a lost one. */
  readonly in_us: number;
  readonly out_us: number;
  readonly link: string;
  readonly direction: "up" | "down";
  readonly family: 4 | 6;
  readonly protocol: string;
  /** Out, lost, dropped from a full queue. */
  readonly fate: "o" | "l" | "t";
  /** TCP flags or ICMP type. */
  readonly flags: number;
  readonly ttl: number;
  /** Length of the IP packet. */
  readonly length: number;
  /** Source port, or ICMP id; of the quoted packet in an ICMP error. */
  readonly a: number;
  /** Destination port, or ICMP sequence number. */
  readonly b: number;
  readonly source: string;
  readonly destination: string;
  readonly sequence: number;
}

type Line = [number, number, string, "up" | "down", 4 | 6, string, "o" | "l" | "t", ...number[]];

function packetOf(line: string): Packet {
  const row = JSON.parse(line) as Line;
  const [in_us, out_us, link, direction, family, protocol, fate] = row;
  const [flags, ttl, length, a, b] = row.slice(7, 12) as number[];
  const [source, destination] = row.slice(12, 14) as unknown as string[];
  const fields = { flags: flags ?? 0, ttl: ttl ?? 0, length: length ?? 0, a: a ?? 0, b: b ?? 0 };
  const ends = { source: source ?? "", destination: destination ?? "", sequence: row[14] ?? 0 };
  return { in_us, out_us, link, direction, family, protocol, fate, ...fields, ...ends };
}

export function readTrace(text: string): Packet[] {
  const lines = text.trimEnd().split("\n");
  const end = JSON.parse(lines.pop() ?? "{}") as { not_recorded?: number };
  // A trace with gaps proves nothing.
  if (end.not_recorded !== 0) throw new Error(`the emulator's trace is full: ${end.not_recorded} packets are not in it`);
  return lines.map(packetOf);
}

const ECHO_REQUEST = [8, 128];
const ECHO_REPLY = [0, 129];
const FIRST_LINK = "l1";

const leaves = (packet: Packet) => packet.link === FIRST_LINK && packet.direction === "up";
const arrives = (packet: Packet) => packet.link === FIRST_LINK && packet.direction === "down" && packet.fate === "o";

/** What one ping process sent and must have received, packet by packet. */
export interface PingTruth {
  sent: number;
  received: number;
  lost: number;
  /**
   * Replies that came again before every request had its first: iputils ends with the last one and never reads what follows.
   * All of them where a request stayed unanswered, since then it waits.
   */
  duplicates: number;
  /** Replies overtaken by a later one (RFC 4737, Type-P-Reordered). */
  reordered: number;
  /** Longest run of requests without a reply. */
  longest_burst: number;
  /** Median time between request and reply at the emulator, ms; null without replies. */
  median_ms: number | null;
  rtts: (number | null)[];
}

/** Tells the pings in a trace apart by the length of their packets: each tool has its own. */
export function pingTruths(trace: readonly Packet[], family: 4 | 6, length: number, timeout_ms: number): PingTruth[] {
  const runs = new Map<number, Packet[]>();
  for (const packet of trace) {
    if (packet.protocol !== "icmp" || packet.family !== family || packet.length !== length) continue;
    if (!leaves(packet) && !arrives(packet)) continue;
    runs.set(packet.a, [...(runs.get(packet.a) ?? []), packet]);
  }
  return [...runs.values()].map((packets) => pingTruth(packets, timeout_ms)).filter((truth) => truth.sent > 0);
}

function pingTruth(packets: readonly Packet[], timeout_ms: number): PingTruth {
  const sent = new Map<number, number>();
  const first = new Map<number, number>();
  const order: number[] = [];
  const again: number[] = [];
  for (const { flags, in_us, out_us, b } of packets) {
    if (ECHO_REQUEST.includes(flags)) sent.set(b, Math.min(in_us, sent.get(b) ?? in_us));
    if (!ECHO_REPLY.includes(flags)) continue;
    if (first.has(b)) again.push(out_us);
    else {
      first.set(b, out_us);
      order.push(b);
    }
  }
  const sequences = [...sent.keys()].sort((x, y) => x - y);
  const rtts = sequences.map((sequence) => roundTrip(sent.get(sequence), first.get(sequence), timeout_ms));
  const times = rtts.filter((rtt) => rtt !== null);
  return {
    sent: sequences.length,
    received: times.length,
    lost: sequences.length - times.length,
    duplicates: first.size < sent.size ? again.length : again.filter((at) => at < Math.max(...first.values())).length,
    reordered: overtaken(order),
    longest_burst: longestRun(rtts),
    median_ms: median(times),
    rtts,
  };
}

function roundTrip(sent: number | undefined, back: number | undefined, timeout_ms: number): number | null {
  if (sent === undefined || back === undefined) return null;
  const rtt = (back - sent) / 1000;
  return rtt <= timeout_ms ? rtt : null;
}

function overtaken(order: readonly number[]): number {
  let highest = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (const sequence of order) {
    if (sequence < highest) count += 1;
    else highest = sequence;
  }
  return count;
}

function longestRun(rtts: readonly (number | null)[]): number {
  let longest = 0;
  let run = 0;
  for (const rtt of rtts) {
    run = rtt === null ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

const SYN = 0x02;
const ACK = 0x10;

/** Connections in a trace: time from the first SYN to the SYN-ACK that came back, ms; null where none came. */
export function connectTimes(trace: readonly Packet[], family: 4 | 6, port: number): (number | null)[] {
  const tcp = trace.filter((packet) => packet.protocol === "tcp" && packet.family === family);
  const begun = new Map<number, number>();
  const done = new Map<number, number>();
  for (const packet of tcp) {
    if (leaves(packet) && packet.b === port && (packet.flags & (SYN | ACK)) === SYN && !begun.has(packet.a))
      begun.set(packet.a, packet.in_us);
    if (arrives(packet) && packet.a === port && (packet.flags & (SYN | ACK)) === (SYN | ACK) && !done.has(packet.b))
      done.set(packet.b, packet.out_us);
  }
  return [...begun].map(([from, at]) => {
    const back = done.get(from);
    return back === undefined ? null : (back - at) / 1000;
  });
}

export interface SegmentTruth {
  /** Segments towards the target that the emulator lost or dropped. */
  lost: number;
  /** Segments the sender sent again, as they left it. */
  resent: number;
  /** Of those, needless ones: the first copy had arrived. */
  needless: number;
}

/** What became of the segments towards a port. A segment is known by its sequence number; pure acknowledgements do not count. */
export function segmentTruth(trace: readonly Packet[], family: 4 | 6, port: number): SegmentTruth {
  const up = trace.filter((p) => p.protocol === "tcp" && p.family === family && p.direction === "up" && p.b === port);
  const headers = family === 4 ? 40 : 60;
  // Options make a bare acknowledgement up to 40 bytes longer; what carries data, a SYN or a FIN can be sent again.
  const counts = (p: Packet) => (p.flags & 0x03) !== 0 || p.length > headers + 40;
  const key = (p: Packet) => `${p.a}/${p.flags & SYN}/${p.sequence}`;
  const seen = new Set<string>();
  const arrived = new Set<string>();
  const truth: SegmentTruth = { lost: 0, resent: 0, needless: 0 };
  for (const packet of up.filter(counts)) {
    if (packet.fate !== "o") truth.lost += 1;
    if (leaves(packet)) {
      if (seen.has(key(packet))) truth.resent += 1;
      seen.add(key(packet));
    }
    if (packet.link === "l3" && packet.fate === "o") {
      if (arrived.has(key(packet))) truth.needless += 1;
      arrived.add(key(packet));
    }
  }
  return truth;
}

/** Addresses from which an answer to a probe reached the agent: who can be named, and must be. */
export function answeredFrom(trace: readonly Packet[], family: 4 | 6): Set<string> {
  return new Set(trace.filter((packet) => packet.family === family && arrives(packet)).map((packet) => packet.source));
}
