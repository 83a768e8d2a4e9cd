// DNS: a question to stated resolvers. Where several are asked, these describe the first; the others are in the detail.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("dns");

export const DNS_METRICS = {
  dns_query_ms: number("Query time, median", "ms", "lower", "RFC 1035"),
  dns_query_min_ms: number("Query time, fastest", "ms", "lower", "RFC 1035"),
  dns_query_max_ms: number("Query time, slowest", "ms", "lower", "RFC 1035"),
  dns_query_p95_ms: number("Query time, 95th percentile", "ms", "lower", "RFC 2330"),
  dns_connect_ms: number("Connection to the resolver", "ms", "lower", "RFC 7766, 7858, 8484"),
  dns_os_ms: number("Look-up by the operating system", "ms", "lower", "getaddrinfo(3)"),
  dns_sent: number("Queries sent", "count", "neither"),
  dns_received: number("Queries answered", "count", "higher"),
  dns_rcode: word("Outcome", "RFC 1035, RFC 2308"),
  dns_ede: number("Extended error", "", "neither", "RFC 8914"),
  dns_answers: number("Records answered", "count", "neither", "RFC 2181"),
  dns_answers_hash: word("Fingerprint of the records", "RFC 2181"),
  dns_ttl_min: number("Shortest time to live", "s", "neither", "RFC 2181"),
  dns_response_bytes: number("Size of the response", "bytes", "neither", "RFC 1035"),
  dns_server: word("Resolver"),
  dns_transport: word("Transport"),
  dns_aa: flag("Authoritative answer", "neither", "RFC 1035"),
  dns_tc: flag("Truncated over UDP", "neither", "RFC 2181"),
  dns_ra: flag("Recursion available", "neither", "RFC 1035"),
  dns_ad: flag("Authenticated by DNSSEC", "higher", "RFC 6840"),
  dns_resolver_diff: flag("Resolvers disagree", "lower"),
  dns_fastest_resolver: word("Fastest resolver"),
} as const;
