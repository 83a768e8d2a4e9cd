// Reads a capture while tcpdump writes it: the pcap format of libpcap (pcap-savefile(5)) in either byte order, with the link
// layers that Linux gives packets of all interfaces ("cooked", LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2). Never throws; what
// does not fit ends the reading, and a packet that is not whole is never given.

export interface Frame {
  /** Whether this host sent it. */
  readonly outgoing: boolean;
  /** Microseconds since the epoch. */
  readonly time_us: number;
  /** The packet from its IP header on, as far as it was kept. */
  readonly packet: Buffer;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const MAGIC = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d } as const;
/** Longest packet any link hands on: what libpcap keeps of one at most. */
const PACKET_MAX = 262_144;
/** Type of packets sent by this host, in both cooked headers (packet(7), PACKET_OUTGOING). */
const OUTGOING = 4;
const IP_ETHERTYPES: readonly number[] = [0x0800, 0x86dd];

interface Link {
  readonly header: number;
  ethertype(record: Buffer): number;
  type(record: Buffer): number;
}

const LINKS: ReadonlyMap<number, Link> = new Map([
  [113, { header: 16, ethertype: (record: Buffer) => record.readUInt16BE(14), type: (record: Buffer) => record.readUInt16BE(0) }],
  [276, { header: 20, ethertype: (record: Buffer) => record.readUInt16BE(0), type: (record: Buffer) => record.readUInt8(10) }],
]);

interface Format {
  readonly little: boolean;
  readonly nano: boolean;
  readonly link: Link;
}

function formatOf(header: Buffer): Format | undefined {
  for (const little of [true, false]) {
    const magic = little ? header.readUInt32LE(0) : header.readUInt32BE(0);
    if (magic !== MAGIC.micro && magic !== MAGIC.nano) continue;
    const network = little ? header.readUInt32LE(20) : header.readUInt32BE(20);
    // The upper bits may tell of a frame check sequence.
    const link = LINKS.get(network & 0xffff);
    if (link !== undefined) return { little, nano: magic === MAGIC.nano, link };
  }
  return undefined;
}

/** Takes in a capture piece by piece. */
export class PcapReader {
  #rest: Buffer = Buffer.alloc(0);
  #format: Format | undefined;
  #broken = false;

  /** Whether what came is no capture, or stopped being one. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The packets that are whole by now and were not given before. */
  push(chunk: Buffer): Frame[] {
    if (this.#broken) return [];
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#format === undefined) {
      if (this.#rest.length < FILE_HEADER) return [];
      this.#format = formatOf(this.#rest);
      this.#rest = this.#rest.subarray(FILE_HEADER);
      if (this.#format === undefined) {
        this.#broken = true;
        return [];
      }
    }
    return this.#records(this.#format);
  }

  #records({ little, nano, link }: Format): Frame[] {
    const frames: Frame[] = [];
    const number = (at: number) => (little ? this.#rest.readUInt32LE(at) : this.#rest.readUInt32BE(at));
    while (this.#rest.length >= RECORD_HEADER) {
      const [seconds, fraction, kept, length] = [number(0), number(4), number(8), number(12)];
      if (kept > PACKET_MAX || kept > length || fraction >= (nano ? 1e9 : 1e6)) {
        this.#broken = true;
        break;
      }
      const end = RECORD_HEADER + kept;
      if (this.#rest.length < end) break;
      const record = this.#rest.subarray(RECORD_HEADER, end);
      this.#rest = this.#rest.subarray(end);
      if (record.length < link.header || !IP_ETHERTYPES.includes(link.ethertype(record))) continue;
      const time_us = seconds * 1e6 + (nano ? Math.floor(fraction / 1000) : fraction);
      frames.push({ outgoing: link.type(record) === OUTGOING, time_us, packet: record.subarray(link.header) });
    }
    return frames;
  }
}
