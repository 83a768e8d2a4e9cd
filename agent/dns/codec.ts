// Makes queries and reads responses. What arrives is hostile until its id, its question and its size are right.
import type { Answer, DecodedPacket, OptAnswer, RecordType } from "dns-packet";
import { codecType, type DnsRecord, nameText, recordOf, recordSet, typeName } from "./records.ts";

/** Largest UDP response asked for: what fits IPv6's least MTU without fragments (DNS flag day 2020). */
const UDP_SIZE = 1232;
const HEADER_BYTES = 12;
/** More records than any honest answer; a message of pointers to pointers would cost seconds to read. */
const RECORDS_MAX = 1000;
const EDE_OPTION = 15;
const RD = 1 << 8;
const AD = 1 << 5;

const RCODES = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE",
];
/** RFC 6891, RFC 7873. */
const EXTENDED_RCODES: Readonly<Record<number, string>> = { 16: "BADVERS", 23: "BADCOOKIE" };

const rcodeName = (rcode: number): string => RCODES[rcode] ?? EXTENDED_RCODES[rcode] ?? `RCODE${rcode}`;

export interface Question {
  readonly name: string;
  readonly type: string;
  readonly recursion: boolean;
  readonly dnssec: boolean;
}

export interface Reply {
  /** NOERROR, NODATA (RFC 2308), NXDOMAIN, SERVFAIL, … */
  readonly rcode: string;
  /** Every record of the answer section. */
  readonly records: readonly DnsRecord[];
  /** Those of the type asked for. */
  readonly answers: readonly DnsRecord[];
  readonly aa: boolean;
  readonly tc: boolean;
  readonly ra: boolean;
  readonly ad: boolean;
  readonly ede: { readonly code: number; readonly text: string } | null;
  /** Seconds a negative answer may be kept (RFC 2308 5); null without an SOA record. */
  readonly negative_ttl: number | null;
  /** No answer, but the servers to ask instead. */
  readonly referral: boolean;
  readonly bytes: number;
}

/** `stray` is no response to this query; `malformed` claims to be one and cannot be read. */
export type Reading = { ok: true; reply: Reply } | { ok: false; fault: "stray" | "malformed"; why: string };

export interface Codec {
  query(id: number, question: Question): Buffer;
  read(message: Buffer, id: number, question: Question): Reading;
}

const stray = (why: string): Reading => ({ ok: false, fault: "stray", why });
const malformed = (why: string): Reading => ({ ok: false, fault: "malformed", why });

/** The codec; loaded when the first query is made. */
export async function loadCodec(): Promise<Codec> {
  const { default: packet } = await import("dns-packet");
  return {
    query(id, question) {
      const opt: OptAnswer = {
        type: "OPT",
        name: ".",
        udpPayloadSize: UDP_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: question.dnssec ? packet.DNSSEC_OK : 0,
        flag_do: question.dnssec,
        options: [],
      };
      return packet.encode({
        type: "query",
        id,
        // RFC 6840 5.7: AD in a query says that the AD bit of the response is understood.
        flags: (question.recursion ? RD : 0) | AD,
        questions: [{ name: question.name, type: codecType(question.type) as RecordType }],
        additionals: [opt],
      });
    },
    read(message, id, question) {
      const unfit = unfitHeader(message, id);
      if (unfit !== undefined) return unfit;
      let decoded: DecodedPacket;
      try {
        decoded = packet.decode(message);
        if (packet.decode.bytes > message.length) return cut(message, "ends in the middle of a record");
      } catch (error) {
        return cut(message, (error as Error).message.slice(0, 100));
      }
      return replyOf(decoded, question, message.length);
    },
  };
}

/** What the header alone rules out, before anything is decoded. */
function unfitHeader(message: Buffer, id: number): Reading | undefined {
  if (message.length < HEADER_BYTES) return malformed(`has ${message.length} bytes, less than a header`);
  if (message.readUInt16BE(0) !== id) return stray("another id");
  if ((message.readUInt8(2) & 0x80) === 0) return stray("a query, not a response");
  const records = [4, 6, 8, 10].reduce((sum, at) => sum + message.readUInt16BE(at), 0);
  return records > RECORDS_MAX ? malformed(`claims ${records} records`) : undefined;
}

/** A message that cannot be read to its end is all right when it says itself that it was truncated. */
function cut(message: Buffer, why: string): Reading {
  if ((message.readUInt8(2) & 0x02) === 0) return malformed(why);
  const flags = message.readUInt16BE(2);
  return {
    ok: true,
    reply: {
      rcode: rcodeName(flags & 15),
      records: [],
      answers: [],
      aa: (flags & 0x0400) !== 0,
      tc: true,
      ra: (flags & 0x80) !== 0,
      ad: (flags & 0x20) !== 0,
      ede: null,
      negative_ttl: null,
      referral: false,
      bytes: message.length,
    },
  };
}

/** A refusal may leave out the question it did not understand. */
const MAY_OMIT_QUESTION = ["FORMERR", "NOTIMP", "REFUSED", "SERVFAIL"];

function replyOf(decoded: DecodedPacket, question: Question, bytes: number): Reading {
  const additionals = decoded.additionals ?? [];
  const opt = additionals.find((each) => each.type === "OPT");
  const rcode = rcodeName(((decoded.flags ?? 0) & 15) + ((opt?.extendedRcode ?? 0) << 4));
  const [asked, ...more] = decoded.questions ?? [];
  if (more.length > 0) return stray("several questions");
  if (asked === undefined) {
    if (!MAY_OMIT_QUESTION.includes(rcode)) return stray("no question");
  } else if (nameText(asked.name) !== nameText(question.name) || typeName(asked.type) !== question.type) {
    return stray("another question");
  }
  try {
    const records = (decoded.answers ?? []).filter(isData).map(recordOf);
    const answers = recordSet(records, question.name, question.type);
    const authorities = decoded.authorities ?? [];
    const nodata = rcode === "NOERROR" && answers.length === 0;
    return {
      ok: true,
      reply: {
        rcode: nodata ? "NODATA" : rcode,
        records,
        answers,
        aa: decoded.flag_aa,
        tc: decoded.flag_tc,
        ra: decoded.flag_ra,
        ad: decoded.flag_ad,
        ede: extendedError(opt),
        negative_ttl: nodata || rcode === "NXDOMAIN" ? negativeTtl(authorities) : null,
        referral: nodata && !decoded.flag_aa && hasOnlyServers(authorities),
        bytes,
      },
    };
  } catch (error) {
    return malformed((error as Error).message.slice(0, 100));
  }
}

const isData = (answer: Answer): answer is Exclude<Answer, OptAnswer> =>
  answer.type !== "OPT" && (answer.class === undefined || answer.class === "IN");

const hasOnlyServers = (authorities: readonly Answer[]): boolean =>
  authorities.some((each) => each.type === "NS") && !authorities.some((each) => each.type === "SOA");

function negativeTtl(authorities: readonly Answer[]): number | null {
  const soa = authorities.find((each) => each.type === "SOA");
  return soa === undefined ? null : Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0);
}

/** RFC 8914 2: a code and a text. */
function extendedError(opt: OptAnswer | undefined): Reply["ede"] {
  const option = opt?.options.find((each) => (each.code as number) === EDE_OPTION);
  const data = option?.data;
  if (data === undefined || data.length < 2) return null;
  const text = data.toString("utf8", 2, 202).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ");
  return { code: data.readUInt16BE(0), text: text.trim() };
}
