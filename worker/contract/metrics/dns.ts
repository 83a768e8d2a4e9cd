// DNS: a question to stated resolvers.
import { familyOf } from "./define.ts";

const { number } = familyOf("dns");

export const DNS_METRICS = {
  dns_query_ms: number("Query time", "ms", "lower", "RFC 1035"),
} as const;
