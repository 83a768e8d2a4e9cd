import { z } from "zod";
import { checkEndpoint, checkHost, checkUrl, ipVersion, ipv6Groups } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, overrun, type Traffic } from "./define.ts";
import { timeoutField } from "./fields.ts";
import { CONNECTION_BYTES, inOneSecond, ipBytes, TLS_BYTES } from "./traffic.ts";

/** Record types that can be asked for (IANA DNS parameters; HTTPS and SVCB: RFC 9460). */
export const DNS_RECORD_TYPES = [
  "A",
  "AAAA",
  "CNAME",
  "MX",
  "TXT",
  "NS",
  "SOA",
  "SRV",
  "CAA",
  "PTR",
  "HTTPS",
  "SVCB",
  "DS",
  "DNSKEY",
  "TLSA",
  "NAPTR",
] as const;
export type DnsRecordType = (typeof DNS_RECORD_TYPES)[number];

/** UDP and TCP (RFC 1035, 7766), DNS over TLS (RFC 7858), DNS over HTTPS (RFC 8484). */
export const DNS_TRANSPORTS = ["udp", "tcp", "tls", "https"] as const;
export type DnsTransport = (typeof DNS_TRANSPORTS)[number];

/** Outcomes that can be expected. NODATA is NOERROR without a record of the type (RFC 2308). */
export const DNS_OUTCOMES = [
  "NOERROR",
  "NODATA",
  "NXDOMAIN",
  "SERVFAIL",
  "REFUSED",
  "FORMERR",
  "NOTIMP",
  "TIMEOUT",
  "UNREACHABLE",
] as const;

/** Most resolvers of one run. */
export const DNS_RESOLVERS_MAX = 4;
const DEFAULT_PORT: Readonly<Record<DnsTransport, number>> = { udp: 53, tcp: 53, tls: 853, https: 443 };
/** Beside the queries themselves: start, and closing of sockets, milliseconds. */
const OVERHEAD_MS = 200;
/** Loading TLS and the trusted certificates, once in a process and before any try's time. */
const TLS_LOADING_MS = 300;
/** A resolver given by name is looked up first; see the agent's own limit for a name. */
const RESOLVER_NAME_MS = 2200;

const dnsParams = z.strictObject({
  resolver: z
    .string()
    .max(1000)
    .optional()
    .describe(
      "Up to 4 resolvers with commas: IP, IP:port, [IPv6]:port, name, https://…/dns-query, system, system-all; default the system's first",
    ),
  record_type: z.enum(DNS_RECORD_TYPES).default("A").describe("Record type asked for"),
  transport: z.enum(DNS_TRANSPORTS).default("udp").describe("How resolvers are asked; an https:// resolver is always asked so"),
  timeout: timeoutField(2, 60, "Seconds one try may take, its connection set-up included"),
  tries: z.number().int().min(1).max(5).default(1).describe("Tries for each query; with 1 a lost datagram is a time-out"),
  count: z.number().int().min(1).max(20).default(1).describe("Queries to each resolver"),
  interval: z.number().min(0.1).max(60).default(1).describe("Seconds between two queries"),
  port: z.number().int().min(1).max(65_535).optional().describe("Port, where a resolver names none; default 53, 853 or 443"),
  recursion: z.boolean().default(true).describe("Ask the resolver to find the answer elsewhere (RD bit)"),
  dnssec: z.boolean().optional().describe("Ask for DNSSEC records (DO bit)"),
  servername: z.string().max(253).optional().describe("Name in the resolver's certificate, for tls and https"),
  expect_rcode: z.enum(DNS_OUTCOMES).default("NOERROR").describe("Outcome that counts as success"),
  expect_answer: z.string().min(1).max(500).optional().describe("Record data that must be among the answers"),
  system: z.boolean().optional().describe("Time the operating system's own look-up (getaddrinfo) as well; A and AAAA only"),
});
export type DnsParams = z.output<typeof dnsParams>;

/** One resolver as asked for. `host` is undefined for the system's own, which the agent knows. */
export type DnsResolver =
  | { readonly kind: "system"; readonly all: boolean }
  | { readonly kind: "server"; readonly host: string; readonly port: number; readonly transport: "udp" | "tcp" | "tls" }
  | { readonly kind: "server"; readonly host: string; readonly port: number; readonly transport: "https"; readonly url: string };

export type DnsResolverCheck = { ok: true; resolver: DnsResolver } | { ok: false; message: string };

/** A resolver at a host: for https the path most resolvers use. `port` undefined is the transport's own. */
export function dnsServer(host: string, port: number | undefined, transport: DnsTransport): DnsResolver {
  const at = port ?? DEFAULT_PORT[transport];
  if (transport !== "https") return { kind: "server", host, port: at, transport };
  const authority = `${ipVersion(host) === 6 ? `[${host}]` : host}${at === 443 ? "" : `:${at}`}`;
  return { kind: "server", host, port: at, transport, url: `https://${authority}/dns-query` };
}

function checkResolver(text: string, params: Pick<DnsParams, "transport" | "port">): DnsResolverCheck {
  if (text === "") return { ok: false, message: "holds an empty entry" };
  if (text === "system" || text === "system-all") return { ok: true, resolver: { kind: "system", all: text === "system-all" } };
  if (/^[a-z]+:\/\//i.test(text)) {
    const url = checkUrl(text);
    if (!url.ok) return { ok: false, message: `'${text.slice(0, 80)}' ${url.message}` };
    if (url.scheme !== "https") return { ok: false, message: `'${text.slice(0, 80)}' is not https; DNS over HTTPS needs it` };
    return { ok: true, resolver: { kind: "server", host: url.host, port: url.port, transport: "https", url: url.url } };
  }
  const endpoint = checkEndpoint(text);
  if (!endpoint.ok) return { ok: false, message: `'${text.slice(0, 80)}' ${endpoint.message}` };
  return { ok: true, resolver: dnsServer(endpoint.host, endpoint.port ?? params.port, params.transport) };
}

/** The resolvers a run asks, in the order given, or what is wrong with the list. */
export function dnsResolvers(
  params: Pick<DnsParams, "resolver" | "transport" | "port">,
): { ok: true; resolvers: DnsResolver[] } | { ok: false; message: string } {
  const resolvers: DnsResolver[] = [];
  for (const text of (params.resolver ?? "system").split(",")) {
    const checked = checkResolver(text.trim(), params);
    if (!checked.ok) return checked;
    resolvers.push(checked.resolver);
  }
  if (resolvers.length > DNS_RESOLVERS_MAX) {
    return { ok: false, message: `names ${resolvers.length} resolvers; at most ${DNS_RESOLVERS_MAX} are compared in one run` };
  }
  const keys = resolvers.map((resolver) => JSON.stringify(resolver));
  return new Set(keys).size === keys.length ? { ok: true, resolvers } : { ok: false, message: "names a resolver twice" };
}

const ARPA = { 4: "in-addr.arpa", 6: "ip6.arpa" } as const;

/** The name an address has in the reverse tree (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: string): string {
  if (ipVersion(address) === 4) return `${address.split(".").reverse().join(".")}.${ARPA[4]}`;
  const groups = ipv6Groups(address).map((group) => group.toString(16).padStart(4, "0"));
  const digits = [...groups.join("")].reverse();
  return `${digits.join(".")}.${ARPA[6]}`;
}

export type DnsQuestionCheck = { ok: true; name: string } | { ok: false; message: string };

/** The name that is asked for, without its trailing dot; "." is the root. */
export function dnsQuestion(destination: string, recordType: DnsRecordType): DnsQuestionCheck {
  if (destination.trim() === ".") return { ok: true, name: "." };
  const checked = checkHost(destination);
  if (!checked.ok) return checked;
  if (checked.version === 0) return { ok: true, name: checked.host };
  if (recordType === "PTR" && !checked.host.includes("%")) return { ok: true, name: reverseName(checked.host) };
  return {
    ok: false,
    message: `is an IP address, which has no ${recordType} record; give a name, or ask for its name with record type PTR`,
  };
}

function checkDns(destination: string, params: DnsParams, interval_s?: number): FieldError[] {
  const errors: FieldError[] = [];
  const question = dnsQuestion(destination, params.record_type);
  if (!question.ok) errors.push({ path: "destination", message: question.message });
  const listed = dnsResolvers(params);
  if (!listed.ok) errors.push({ path: "params.resolver", message: listed.message });
  if (params.servername !== undefined)
    errors.push(...checkServername(params.servername, params, listed.ok ? listed.resolvers : []));
  if (params.system === true && params.record_type !== "A" && params.record_type !== "AAAA") {
    errors.push({ path: "params.system", message: "is only for record types A and AAAA, which the operating system looks up" });
  }
  errors.push(...overrun("queries", params.count, params.interval, interval_s));
  return errors;
}

const isEncrypted = (params: DnsParams, resolvers: readonly DnsResolver[]): boolean =>
  params.transport === "tls" ||
  params.transport === "https" ||
  resolvers.some((each) => each.kind === "server" && each.transport === "https");

function checkServername(name: string, params: DnsParams, resolvers: readonly DnsResolver[]): FieldError[] {
  const path = "params.servername";
  const checked = checkHost(name);
  if (!checked.ok) return [{ path, message: checked.message }];
  if (checked.version !== 0) return [{ path, message: "is an IP address; a certificate's name is a host name (RFC 6066)" }];
  return isEncrypted(params, resolvers)
    ? []
    : [{ path, message: `needs transport tls or https; ${params.transport} has no certificate` }];
}

/** Resolvers that are named are spoken to; the system's own is not the test's choice, so then the name decides. */
function dnsContacts(destination: string, params: DnsParams): string[] {
  const listed = dnsResolvers(params);
  const question = dnsQuestion(destination, params.record_type);
  if (!listed.ok || !question.ok) return [];
  const address = checkHost(destination);
  const asked = address.ok ? address.host : question.name;
  const hosts = listed.resolvers.map((resolver) => (resolver.kind === "server" ? resolver.host : asked));
  // The operating system asks whom it likes, too.
  return [...new Set(params.system === true ? [...hosts, asked] : hosts)];
}

function dnsDeadline(params: DnsParams): number {
  const listed = dnsResolvers(params);
  const named = listed.ok && listed.resolvers.some((each) => each.kind === "server" && ipVersion(each.host) === 0);
  const loading = isEncrypted(params, listed.ok ? listed.resolvers : []) ? TLS_LOADING_MS : 0;
  const queries = ((params.count - 1) * params.interval + params.tries * params.timeout) * 1000;
  return Math.ceil(queries) + OVERHEAD_MS + loading + (named ? RESOLVER_NAME_MS : 0);
}

/** The largest query, and the largest answer over UDP that is asked for; over the others a message is at most 65,535 bytes. */
const UDP_MESSAGE = { query: 320, answer: 1232 } as const;
const STREAM_MESSAGE = 64 * 1024;
/** Queries the operating system may send for one look-up: both families, search domains and tries. */
const SYSTEM_QUERIES = 16;

/** A truncated answer over UDP is asked for again over TCP. */
function traffic(params: DnsParams): Traffic {
  const { count, interval, tries, timeout, system } = params;
  const listed = dnsResolvers(params);
  const resolvers = listed.ok ? listed.resolvers : [];
  const asked = resolvers.reduce((sum, each) => sum + (each.kind === "system" && each.all ? DNS_RESOLVERS_MAX : 1), 0);
  const looking = system === true ? SYSTEM_QUERIES : 0;
  const secure = isEncrypted(params, resolvers) ? TLS_BYTES : 0;
  const query = ipBytes(UDP_MESSAGE.query) + ipBytes(UDP_MESSAGE.answer) + CONNECTION_BYTES + STREAM_MESSAGE;
  return {
    packets_per_s: asked * inOneSecond(count, interval) * Math.max(1, inOneSecond(tries, timeout)) + looking,
    bytes: asked * (count * tries * query + secure) + looking * ipBytes(UDP_MESSAGE.answer),
  };
}

/** What a run with one resolver over UDP moved at most, when no answer was too long for that; undefined for every other. */
function moved(params: DnsParams, { dns_sent, dns_tc }: { dns_sent?: unknown; dns_tc?: unknown }): number | undefined {
  const listed = dnsResolvers(params);
  const [only, ...others] = listed.ok ? listed.resolvers : [];
  const isOne = only !== undefined && others.length === 0 && (only.kind === "system" ? !only.all : only.transport === "udp");
  if (!isOne || params.transport !== "udp" || params.system === true || dns_tc !== false) return undefined;
  if (typeof dns_sent !== "number") return undefined;
  return dns_sent * params.tries * (ipBytes(UDP_MESSAGE.query) + ipBytes(UDP_MESSAGE.answer));
}

export const dns = defineTestType({
  type: "dns",
  label: "DNS",
  summary: "Query time, outcome and records of resolvers, over UDP, TCP, TLS or HTTPS, compared",
  destination: {
    hint: "The name to look up; an IP address for its name (record type PTR).",
    example: "www.example.com",
  },
  params: dnsParams,
  metrics: metricsOf("dns"),
  headline: ["dns_query_ms", "dns_rcode", "dns_answers", "dns_ttl_min"],
  default_interval_s: 30,
  check: checkDns,
  contacts: dnsContacts,
  asks: (destination, params) => {
    const question = dnsQuestion(destination, params.record_type);
    const address = checkHost(destination);
    return address.ok ? [address.host] : question.ok ? [question.name] : [];
  },
  traffic,
  moved,
  deadline_ms: dnsDeadline,
});
