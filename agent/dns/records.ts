// DNS records as text: the presentation form of zone files (RFC 1035 5.1), safe to print whatever a server sent. Pure.
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { Answer } from "dns-packet";

export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  readonly data: string;
}

/** Types the codec knows by number only (RFC 9460). */
const NUMBERED: Readonly<Record<string, string>> = { UNKNOWN_64: "SVCB", UNKNOWN_65: "HTTPS" };

/** The type's name; TYPE123 where it has none (RFC 3597). */
export const typeName = (type: string): string => NUMBERED[type] ?? type.replace(/^UNKNOWN_/, "TYPE");

/** How the codec wants to hear of a type. */
export const codecType = (type: string): string => Object.keys(NUMBERED).find((key) => NUMBERED[key] === type) ?? type;

/** Bytes outside `plain` as \DDD, so that no server can write control characters to a terminal (RFC 1035 5.1). */
function escapeBytes(bytes: Buffer, plain: RegExp): string {
  let text = "";
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    text += plain.test(char) ? char : `\\${char === '"' || char === "\\" ? char : String(byte).padStart(3, "0")}`;
  }
  return text;
}

/** A domain name, lower case as names compare (RFC 4343). */
export const nameText = (name: string): string => escapeBytes(Buffer.from(name.toLowerCase()), /[!#-[\]-~]/);

const quoted = (value: string | Buffer): string => `"${escapeBytes(Buffer.from(value), /[ !#-[\]-~]/)}"`;

/** Record data of an unknown type (RFC 3597 5). */
const generic = (data: Buffer): string => `\\# ${data.length} ${data.toString("hex")}`.trimEnd();

function addressText(data: string, version: 4 | 6): string {
  if (isIP(data) !== version) throw new Error("an address record holds no address");
  // The one spelling of RFC 5952, so that equal addresses are equal texts.
  return version === 6 ? new URL(`http://[${data}]/`).hostname.slice(1, -1) : data;
}

/** Record data as a zone file would show it. Throws on data that contradict their type. */
function dataText(answer: Answer): string {
  switch (answer.type) {
    case "A":
      return addressText(answer.data, 4);
    case "AAAA":
      return addressText(answer.data, 6);
    case "NS":
    case "CNAME":
    case "PTR":
    case "DNAME":
      return nameText(answer.data);
    case "MX":
      return `${answer.data.preference ?? 0} ${nameText(answer.data.exchange)}`;
    case "SRV": {
      const { priority = 0, weight = 0, port, target } = answer.data;
      return `${priority} ${weight} ${port} ${nameText(target)}`;
    }
    case "SOA": {
      const { mname, rname, serial, refresh, retry, expire, minimum } = answer.data;
      return `${nameText(mname)} ${nameText(rname)} ${serial} ${refresh} ${retry} ${expire} ${minimum}`;
    }
    case "TXT":
      return (Array.isArray(answer.data) ? answer.data : [answer.data]).map(quoted).join(" ");
    case "CAA":
      return `${answer.data.flags ?? 0} ${nameText(answer.data.tag)} ${quoted(answer.data.value)}`;
    case "DS":
      return `${answer.data.keyTag} ${answer.data.algorithm} ${answer.data.digestType} ${answer.data.digest.toString("hex")}`;
    case "DNSKEY":
      return `${answer.data.flags} 3 ${answer.data.algorithm} ${answer.data.key.toString("base64")}`;
    case "NAPTR": {
      const { order, preference, flags, services, regexp, replacement } = answer.data;
      return `${order} ${preference} ${quoted(flags)} ${quoted(services)} ${quoted(regexp)} ${nameText(replacement)}`;
    }
    case "RRSIG": {
      const { typeCovered, algorithm, labels, originalTTL, keyTag, signersName } = answer.data;
      return `${nameText(typeCovered).toUpperCase()} ${algorithm} ${labels} ${originalTTL} ${keyTag} ${nameText(signersName)}`;
    }
    default:
      return otherText(answer);
  }
}

function otherText(answer: Answer): string {
  const data: unknown = "data" in answer ? answer.data : undefined;
  if (Buffer.isBuffer(data)) return generic(data);
  if ((answer.type as string) === "TLSA" && typeof data === "object" && data !== null) {
    const { usage, selector, matchingType, certificate } = data as Record<string, unknown>;
    return `${usage} ${selector} ${matchingType} ${Buffer.isBuffer(certificate) ? certificate.toString("hex") : ""}`.trimEnd();
  }
  return "";
}

/** A decoded record as text. Throws on data that contradict their type. */
export function recordOf(answer: Exclude<Answer, { type: "OPT" }>): DnsRecord {
  const ttl = answer.ttl ?? 0;
  return {
    name: nameText(answer.name),
    type: typeName(answer.type),
    // RFC 2181 8: a value with the highest bit set is zero.
    ttl: ttl > 0x7fffffff ? 0 : ttl,
    data: dataText(answer),
  };
}

const CHAIN_MAX = 16;

/** Names an answer may be about: the one asked for and what its aliases lead to (RFC 1034 3.6.2). */
function aliasChain(records: readonly DnsRecord[], name: string): Set<string> {
  const names = new Set([nameText(name)]);
  for (let hops = 0, at = nameText(name); hops < CHAIN_MAX; hops++) {
    const next = records.find((record) => record.type === "CNAME" && record.name === at)?.data;
    if (next === undefined || names.has(next)) break;
    names.add(next);
    at = next;
  }
  return names;
}

/** The records of the type asked for, about the name asked for or what it is an alias of. */
export function recordSet(records: readonly DnsRecord[], name: string, type: string): DnsRecord[] {
  const names = aliasChain(records, name);
  return records.filter((record) => record.type === type && names.has(record.name));
}

/** 16 hexadecimal digits that are the same for the same records, in whatever order and with whatever time to live. */
export function fingerprint(records: readonly DnsRecord[]): string {
  const lines = [...new Set(records.map(({ type, data }) => `${type} ${data}`))].sort((a, b) => (a < b ? -1 : 1));
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}

/** Whether `wanted` is this record's data: all of it, or the host it points to; without quotes and a final dot it is the same. */
export function isAnswer(record: DnsRecord, wanted: string): boolean {
  const plain = (text: string) =>
    text
      .trim()
      .replace(/^"(.*)"$/s, "$1")
      .replace(/\.$/, "");
  if (record.type === "AAAA") return isIP(wanted) === 6 && addressText(wanted, 6) === record.data;
  const fold = record.type === "TXT" || record.type === "CAA" ? plain : (text: string) => plain(text).toLowerCase();
  const target = record.type === "MX" || record.type === "SRV" ? record.data.split(" ").at(-1) : undefined;
  return fold(record.data) === fold(wanted) || (target !== undefined && fold(target) === fold(wanted));
}
