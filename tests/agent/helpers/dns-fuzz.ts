// A DNS message with records of every kind we show, and a reader that objects to whatever the bytes do not hold.
import packet, { type Answer } from "dns-packet";
import { loadCodec } from "../../../agent/dns/codec.ts";

const QUESTION = { name: "host.example", type: "A", recursion: true, dnssec: true };
const ID = 4711;

const name = QUESTION.name;
const records = [
  { name, type: "CNAME", ttl: 31, data: "www.example" },
  { name: "www.example", type: "A", ttl: 300, data: "192.0.2.1" },
  { name, type: "AAAA", ttl: 7, data: "2001:db8::1" },
  { name, type: "TXT", ttl: 60, data: ["v=spf1 -all", "x".repeat(200)] },
  { name, type: "MX", ttl: 61, data: { preference: 10, exchange: "mail.example" } },
  { name, type: "SRV", ttl: 62, data: { priority: 1, weight: 2, port: 443, target: "s.example" } },
  {
    name,
    type: "SOA",
    ttl: 63,
    data: { mname: "ns.example", rname: "a.example", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 },
  },
  { name, type: "CAA", ttl: 64, data: { flags: 0, tag: "issue", value: "ca.example" } },
  {
    name,
    type: "NAPTR",
    ttl: 65,
    data: { order: 1, preference: 2, flags: "u", services: "E2U+sip", regexp: "!^.*$!x!", replacement: "." },
  },
  { name, type: "DS", ttl: 66, data: { keyTag: 1, algorithm: 8, digestType: 2, digest: Buffer.alloc(32, 3) } },
  { name, type: "DNSKEY", ttl: 67, data: { flags: 257, algorithm: 8, key: Buffer.alloc(40, 4) } },
] as Answer[];
const ede = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  flags: 0,
  options: [{ code: 15, data: Buffer.from("\0\u0016No reachable") }],
};

export const DNS_MESSAGES: readonly Buffer[] = [
  packet.encode({
    type: "response",
    id: ID,
    flags: 0x0580,
    questions: [{ name, type: "A" }],
    answers: records,
    additionals: [ede as never],
  }),
  packet.encode({
    type: "response",
    id: ID,
    flags: 0x0183,
    questions: [{ name, type: "A" }],
    authorities: [records[6] as Answer],
  }),
];

const bigEndian = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const codec = await loadCodec();

/** Reads bytes as the answer to our query; throws when an address or a time to live does not stand in them. Answers nothing. */
export function readDns(bytes: Buffer): null {
  const reading = codec.read(bytes, ID, QUESTION);
  if (!reading.ok) return null;
  for (const { type, data, ttl } of reading.reply.records) {
    if (type === "A" && !bytes.includes(Buffer.from(data.split(".").map(Number))))
      throw new Error(`invented the address ${data}`);
    if (ttl !== 0 && !bytes.includes(bigEndian(ttl))) throw new Error(`invented the time to live ${ttl}`);
    for (const char of data) if (char < " " || char > "~") throw new Error(`printed ${JSON.stringify(char)}`);
  }
  return null;
}
