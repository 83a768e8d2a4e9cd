// What one resolver answered in a run, and the verdict on all of them. Pure.
import type { MetricValue, Reason } from "#contract/metrics";
import type { ErrorCode, ErrorSource, ResultError, Status } from "#contract/result";
import type { DnsParams, DnsTransport } from "#contract/test-types/dns";
import { connectOf, outcomeOf, type Query } from "../dns/ask.ts";
import type { Reply } from "../dns/codec.ts";
import type { Connect, Failure, FailureKind } from "../dns/exchange.ts";
import { fingerprint, isAnswer } from "../dns/records.ts";
import { median, round3 } from "../statistics.ts";

/** One resolver and its queries; `unlocated` when the resolver's own name led nowhere. */
export interface Report {
  readonly label: string;
  readonly address: string | null;
  readonly transport: DnsTransport;
  readonly queries: readonly Query[];
  readonly unlocated: { readonly code: ErrorCode; readonly message: string } | null;
}

type Expectation = Pick<DnsParams, "expect_rcode" | "expect_answer">;

export function asExpected(query: Query, expected: Expectation): boolean {
  if (outcomeOf(query) !== expected.expect_rcode) return false;
  const { expect_answer } = expected;
  if (expect_answer === undefined) return true;
  return query.exchange.ok && query.exchange.reply.answers.some((record) => isAnswer(record, expect_answer));
}

/** The query that stands for the resolver: the first as expected, else the first answered, else the first. */
export const chosen = (report: Report, expected: Expectation): Query | undefined =>
  report.queries.find((query) => asExpected(query, expected)) ??
  report.queries.find((query) => query.exchange.ok) ??
  report.queries[0];

export const replyOf = (query: Query | undefined): Reply | null => (query?.exchange.ok ? query.exchange.reply : null);

/** Times of the answered queries, in order, milliseconds. */
export const timesOf = (report: Report): number[] =>
  report.queries.map((query) => query.query_ms).filter((ms): ms is number => ms !== null);

/** The connection to the resolver: its own, or the one a truncated answer needed. */
export const connectionOf = (report: Report): Connect | null => connectOf(report.queries);

/** Shortest time to live among the records that answer, seconds. */
export const shortestTtl = (reply: Reply): number | null =>
  reply.answers.length === 0 ? null : Math.min(...reply.answers.map(({ ttl }) => ttl));

export const hashOf = (reply: Reply): string | null => (reply.answers.length === 0 ? null : fingerprint(reply.answers));

const REASONS: Readonly<Record<FailureKind, Reason>> = {
  timeout: "timeout",
  refused: "refused",
  reset: "refused",
  unreachable: "no_route",
  no_route: "no_route",
  tls_failed: "not_applicable",
  certificate: "not_applicable",
  bad_response: "not_applicable",
  http_status: "not_applicable",
  internal: "not_applicable",
};

/** Why a resolver's metrics are missing. */
export function reasonOf(report: Report, expected: Expectation): Reason {
  if (report.unlocated !== null) return "dns_fail";
  const exchange = chosen(report, expected)?.exchange;
  return exchange === undefined ? "timeout" : exchange.ok ? "not_applicable" : REASONS[exchange.kind];
}

const FAILURES: Readonly<Record<FailureKind, { code: ErrorCode; source: ErrorSource }>> = {
  timeout: { code: "dns_timeout", source: "network" },
  refused: { code: "refused", source: "resolver" },
  reset: { code: "reset", source: "resolver" },
  unreachable: { code: "unreachable", source: "network" },
  no_route: { code: "no_route", source: "agent" },
  tls_failed: { code: "tls_failed", source: "resolver" },
  certificate: { code: "certificate", source: "resolver" },
  bad_response: { code: "bad_response", source: "resolver" },
  http_status: { code: "http_status", source: "resolver" },
  internal: { code: "internal", source: "agent" },
};

function failureError(failure: Failure, tries: number): ResultError {
  const { code, source } = FAILURES[failure.kind];
  if (failure.kind !== "timeout") return { code, source, message: failure.message };
  const next = failure.connected
    ? "the resolver is reachable but silent"
    : tries === 1
      ? "one lost datagram looks the same; more tries tell them apart"
      : "check that it runs and that no firewall drops the queries";
  const times = tries === 1 ? "" : ` (${tries} tries)`;
  return { code, source: failure.connected ? "resolver" : source, message: `${failure.message}${times}; ${next}` };
}

/** What the outcomes other than the expected NOERROR mean. */
function rcodeError(reply: Reply, report: Report, question: string): ResultError {
  const by = `${report.label} says`;
  const more =
    reply.ede === null ? "" : ` (extended error ${reply.ede.code}${reply.ede.text === "" ? "" : `: ${reply.ede.text}`})`;
  const tell = (code: ErrorCode, source: ErrorSource, words: string): ResultError => ({
    code,
    source,
    message: `${by} ${words}${more}`,
  });
  switch (reply.rcode) {
    case "NXDOMAIN":
      return tell("dns_not_found", "target", `that ${question.split(" ")[0]} does not exist (NXDOMAIN)`);
    case "NODATA":
      return reply.referral
        ? tell("dns_no_data", "resolver", `whom to ask about ${question} instead: it does not look further (referral)`)
        : tell("dns_no_data", "target", `that the name exists, but not as ${question} (NODATA)`);
    case "SERVFAIL":
      return tell(
        "dns_failed",
        "resolver",
        `it could not find out about ${question} (SERVFAIL): its way to the name's servers or their DNSSEC is broken`,
      );
    case "REFUSED":
      return tell("dns_refused", "resolver", `it does not answer this host about ${question} (REFUSED)`);
    case "FORMERR":
      return tell("dns_failed", "resolver", "it does not understand the query (FORMERR); very old servers know no EDNS");
    default:
      return tell("dns_failed", "resolver", `${reply.rcode} for ${question}`);
  }
}

/** What is wrong with a query that did not end as expected. */
function queryError(query: Query, report: Report, expected: DnsParams, question: string): ResultError {
  if (!query.exchange.ok) return failureError(query.exchange, query.tries);
  const { reply } = query.exchange;
  const outcome = outcomeOf(query);
  if (outcome === expected.expect_rcode) {
    const got = reply.answers.map(({ data }) => data.slice(0, 100)).slice(0, 5);
    const message = `${report.label} did not answer '${expected.expect_answer}' for ${question}, but ${got.join(", ") || "nothing"}`;
    return { code: "assertion_failed", source: "target", message };
  }
  if (expected.expect_rcode === "NOERROR") return rcodeError(reply, report, question);
  const message = `${report.label} answered ${outcome} for ${question}; expected was ${expected.expect_rcode}`;
  return { code: "assertion_failed", source: "resolver", message };
}

/** The resolver's error, or null when every query ended as expected. */
export function reportError(report: Report, expected: DnsParams, question: string): ResultError | null {
  if (report.unlocated !== null) return { ...report.unlocated, source: "resolver" };
  const wrong = report.queries.find((query) => !asExpected(query, expected));
  if (wrong !== undefined) return queryError(wrong, report, expected, question);
  return report.queries.length > 0
    ? null
    : { code: "deadline", source: "agent", message: "no query was sent in the time there was" };
}

export interface Comparison {
  /** Whether resolvers that answered disagree; null with fewer than two of them. */
  readonly differ: boolean | null;
  /** Label of the fastest by median; null with fewer than two. */
  readonly fastest: string | null;
}

/** Sets the resolvers side by side: different outcomes or different records are a difference, times to live are not. */
export function compare(reports: readonly Report[], expected: Expectation): Comparison {
  const answered = reports.flatMap((report) => {
    const reply = replyOf(chosen(report, expected));
    const time = median(timesOf(report));
    return reply === null || time === undefined
      ? []
      : [{ label: report.label, time, said: `${reply.rcode} ${hashOf(reply) ?? ""}` }];
  });
  if (answered.length < 2) return { differ: null, fastest: null };
  const fastest = answered.reduce((best, each) => (each.time < best.time ? each : best));
  return { differ: new Set(answered.map(({ said }) => said)).size > 1, fastest: fastest.label };
}

/** ok: the first as expected and all others answered alike; partial: something of that failed; failed: the first never did. */
export function verdict(
  reports: readonly Report[],
  expected: DnsParams,
  question: string,
): { status: Status; error: ResultError | null } {
  const [first, ...others] = reports;
  if (first === undefined) {
    const message = "this host names no resolver of its own; give one with the parameter resolver";
    return { status: "failed", error: { code: "dns_failed", source: "agent", message } };
  }
  const good = first.queries.filter((query) => asExpected(query, expected)).length;
  const error = reportError(first, expected, question);
  if (good === 0) return { status: "failed", error };
  if (error !== null) return { status: "partial", error };
  const silent = others.find((each) => each.queries.length === 0 || each.queries.some((query) => !query.exchange.ok));
  if (silent !== undefined && expected.expect_rcode !== "TIMEOUT" && expected.expect_rcode !== "UNREACHABLE") {
    return { status: "partial", error: reportError(silent, expected, question) };
  }
  return { status: compare(reports, expected).differ === true ? "partial" : "ok", error: null };
}

/** The first of these items, each cut, until their characters are used up: a result stays far below its limit. */
function bounded<T>(items: readonly T[], size: (item: T) => number, most: number): T[] {
  let left = most;
  return items.filter((item) => {
    left -= size(item);
    return left >= 0;
  });
}

const TEXT_MAX = 1000;
const RESOLVER_CHARS = 4000;

/** A resolver in the result's detail. */
export interface ResolverDetail {
  readonly server: string;
  readonly address: string | null;
  readonly transport: DnsTransport;
  readonly sent: number;
  readonly received: number;
  readonly query_ms: number | null;
  readonly times: readonly (number | null)[];
  readonly connect: Connect | null;
  readonly rcode: string | null;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly answers: readonly string[];
  readonly records: readonly { name: string; type: string; ttl: number; data: string }[];
  readonly answers_total: number;
  readonly answers_hash: string | null;
  readonly ttl_min: number | null;
  readonly negative_ttl: number | null;
  readonly aa: boolean | null;
  readonly ra: boolean | null;
  readonly ad: boolean | null;
  readonly tc: boolean;
  readonly truncated: Query["truncated"];
  readonly tries: number;
  readonly ede: Reply["ede"];
  readonly error: ResultError | null;
}

function countOutcomes(queries: readonly Query[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const query of queries) {
    const word = outcomeOf(query) ?? (query.exchange.ok ? "" : query.exchange.kind);
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

export function detailOf(report: Report, expected: DnsParams, question: string): ResolverDetail {
  const query = chosen(report, expected);
  const reply = replyOf(query);
  const cut = (text: string) => text.slice(0, TEXT_MAX);
  const fact = <T extends MetricValue>(value: T | undefined): T | null => value ?? null;
  const time = median(timesOf(report));
  return {
    server: report.label,
    address: report.address,
    transport: query?.transport ?? report.transport,
    sent: report.queries.length,
    received: report.queries.filter(({ exchange }) => exchange.ok).length,
    query_ms: time === undefined ? null : round3(time),
    times: report.queries.map(({ query_ms }) => query_ms),
    connect: connectionOf(report),
    rcode: query === undefined ? null : outcomeOf(query),
    outcomes: countOutcomes(report.queries),
    answers: bounded(
      (reply?.answers ?? []).map(({ data }) => cut(data)),
      (text) => text.length,
      RESOLVER_CHARS,
    ),
    records: bounded(
      (reply?.records ?? []).map((record) => ({ ...record, name: record.name.slice(0, 255), data: cut(record.data) })),
      ({ name, type, data }) => name.length + type.length + data.length + 40,
      RESOLVER_CHARS,
    ),
    answers_total: reply?.answers.length ?? 0,
    answers_hash: reply === null ? null : hashOf(reply),
    ttl_min: reply === null ? null : shortestTtl(reply),
    negative_ttl: reply?.negative_ttl ?? null,
    aa: fact(reply?.aa),
    ra: fact(reply?.ra),
    ad: fact(reply?.ad),
    tc: query?.truncated !== null && query !== undefined ? true : (reply?.tc ?? false),
    truncated: query?.truncated ?? null,
    tries: query?.tries ?? 0,
    ede: reply?.ede ?? null,
    error: reportError(report, expected, question),
  };
}
