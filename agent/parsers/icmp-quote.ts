// Reads packets of a capture: probes this host sent, and the headers of probes that ICMP errors quote (RFC 792, RFC 4443): a
// router quotes the packet as it arrived there. Damaged ICMP messages are passed over. Never throws.

export type ProbeProtocol = "udp" | "tcp";

/** The fields of a probe that tell it from others, and what the network may have changed. */
export interface ProbeHeader {
  readonly protocol: ProbeProtocol;
  readonly source: string;
  readonly destination: string;
  /** Time to live, or hop limit. */
  readonly ttl: number;
  /** Traffic class: six bits of DSCP (RFC 2474), two of ECN (RFC 3168). */
  readonly tos: number;
  /** Identification of an IPv4 packet (RFC 791), null of an IPv6 one. */
  readonly id: number | null;
  readonly source_port: number;
  readonly port: number;
  /** What differs from probe to probe: the length of a UDP datagram (RFC 768), the sequence number of TCP (RFC 9293). */
  readonly mark: number;
}

export interface Quote {
  readonly from: string;
  readonly kind: "time_exceeded" | "unreachable";
  readonly probe: ProbeHeader;
}

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** Bytes of the upper header that every error quotes at least (RFC 792). */
const QUOTED_UPPER = 8;
const ICMP_HEADER = 8;
const PROTOCOLS: ReadonlyMap<number, ProbeProtocol> = new Map([
  [17, "udp"],
  [6, "tcp"],
]);
const ICMP = { 4: 1, 6: 58 } as const;
const ERRORS: Readonly<Record<4 | 6, ReadonlyMap<number, Quote["kind"]>>> = {
  4: new Map([
    [11, "time_exceeded"],
    [3, "unreachable"],
  ]),
  6: new Map([
    [3, "time_exceeded"],
    [1, "unreachable"],
  ]),
};

interface IpPacket {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number | null;
  readonly protocol: number;
  /** Length of the payload as the header says. */
  readonly length: number;
  readonly header: Buffer;
  /** The payload as far as it was kept. */
  readonly payload: Buffer;
}

const ipv4Text = (bytes: Buffer): string => bytes.join(".");

/** All eight groups: whoever compares addresses brings them to one spelling. */
const ipv6Text = (bytes: Buffer): string =>
  [0, 2, 4, 6, 8, 10, 12, 14].map((at) => bytes.readUInt16BE(at).toString(16)).join(":");

function readIpv4(packet: Buffer): IpPacket | undefined {
  if (packet.length < IPV4_HEADER) return undefined;
  const header = (packet.readUInt8(0) & 0x0f) * 4;
  const fragment = packet.readUInt16BE(6) & 0x1fff;
  if (header < IPV4_HEADER || packet.length < header || fragment !== 0) return undefined;
  return {
    version: 4,
    source: ipv4Text(packet.subarray(12, 16)),
    destination: ipv4Text(packet.subarray(16, 20)),
    ttl: packet.readUInt8(8),
    tos: packet.readUInt8(1),
    id: packet.readUInt16BE(4),
    protocol: packet.readUInt8(9),
    length: packet.readUInt16BE(2) - header,
    header: packet.subarray(0, header),
    payload: packet.subarray(header),
  };
}

function readIpv6(packet: Buffer): IpPacket | undefined {
  if (packet.length < IPV6_HEADER) return undefined;
  return {
    version: 6,
    source: ipv6Text(packet.subarray(8, 24)),
    destination: ipv6Text(packet.subarray(24, 40)),
    ttl: packet.readUInt8(7),
    tos: (packet.readUInt16BE(0) >> 4) & 0xff,
    id: null,
    protocol: packet.readUInt8(6),
    length: packet.readUInt16BE(4),
    header: packet.subarray(0, IPV6_HEADER),
    payload: packet.subarray(IPV6_HEADER),
  };
}

function readIp(packet: Buffer): IpPacket | undefined {
  const version = packet.length === 0 ? 0 : packet.readUInt8(0) >> 4;
  if (version === 4) return readIpv4(packet);
  return version === 6 ? readIpv6(packet) : undefined;
}

function headerOf(packet: IpPacket): ProbeHeader | undefined {
  const protocol = PROTOCOLS.get(packet.protocol);
  const { payload, source, destination, ttl, tos, id } = packet;
  if (protocol === undefined || payload.length < QUOTED_UPPER) return undefined;
  const mark = protocol === "udp" ? payload.readUInt16BE(4) : payload.readUInt32BE(4);
  return {
    protocol,
    source,
    destination,
    ttl,
    tos,
    id,
    source_port: payload.readUInt16BE(0),
    port: payload.readUInt16BE(2),
    mark,
  };
}

/** The one's complement sum of RFC 1071, folded to 16 bits. */
function checksum(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i + 1 < part.length; i += 2) sum += part.readUInt16BE(i);
    if (part.length % 2 === 1) sum += (part.at(-1) ?? 0) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** Whether the message is whole and undamaged. */
function isSound({ version, header, payload, length }: IpPacket): boolean {
  if (length < ICMP_HEADER || payload.length < length) return false;
  const message = payload.subarray(0, length);
  if (version === 4) return checksum([header]) === 0xffff && checksum([message]) === 0xffff;
  // ICMPv6 covers the addresses, the length and the protocol too (RFC 4443 2.3, RFC 8200 8.1).
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(length, 0);
  pseudo.writeUInt32BE(ICMP[6], 4);
  return checksum([header.subarray(8, 40), pseudo, message]) === 0xffff;
}

/** SYN alone among the flags of a TCP header (RFC 9293 3.1), whatever it says of ECN: the kernel resets what a probe begins. */
const isSyn = ({ payload }: IpPacket): boolean => payload.length > 13 && (payload.readUInt8(13) & 0x3f) === 0x02;

/** The probe that a packet of this host is, or undefined when it is none. */
export function readProbe(bytes: Buffer): ProbeHeader | undefined {
  const packet = readIp(bytes);
  if (packet === undefined || (packet.version === 4 && checksum([packet.header]) !== 0xffff)) return undefined;
  const probe = headerOf(packet);
  return probe?.protocol === "tcp" && !isSyn(packet) ? undefined : probe;
}

/** What an ICMP error quotes; undefined for any other packet and for a damaged one. */
export function readQuote(bytes: Buffer): Quote | undefined {
  const packet = readIp(bytes);
  if (packet === undefined || packet.protocol !== ICMP[packet.version] || !isSound(packet)) return undefined;
  const kind = ERRORS[packet.version].get(packet.payload.readUInt8(0));
  const quoted = readIp(packet.payload.subarray(ICMP_HEADER, packet.length));
  const probe = quoted?.version === packet.version ? headerOf(quoted) : undefined;
  return kind === undefined || probe === undefined ? undefined : { from: packet.source, kind, probe };
}
