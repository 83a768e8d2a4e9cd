// DNS on a terminal: a row for each answer, and at the end the resolvers side by side with the verdict.
import type { Measurement } from "#contract/result";
import type { DnsParams } from "#contract/test-types/dns";
import { outcomeOf, type Query } from "../dns/ask.ts";
import { cell, figure, milliseconds, type Row, type Tone } from "../rows.ts";
import { asExpected, type Report, type ResolverDetail, shortestTtl } from "./dns-report.ts";

const ANSWERS_WIDTH = 72;

/** Record data in a line, so many as fit. */
function listed(answers: readonly string[], total: number): string {
  const shown: string[] = [];
  let left = ANSWERS_WIDTH;
  for (const answer of answers) {
    left -= answer.length + 2;
    if (left < 0) break;
    shown.push(answer);
  }
  const [first = ""] = answers;
  if (shown.length === 0 && first !== "") shown.push(`${first.slice(0, ANSWERS_WIDTH - 2)}…`);
  const more = total - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` +${more}` : ""}`;
}

const seconds = (ttl: number | null | undefined): string => (typeof ttl === "number" ? `${ttl} s` : "–");

/** One answer of one resolver, as it comes. */
export function answerRow(report: Pick<Report, "label">, width: number, query: Query, params: DnsParams): Row {
  const { exchange } = query;
  const tone: Tone = asExpected(query, params) ? "good" : "bad";
  const answers = exchange.ok ? exchange.reply.answers.map(({ data }) => data) : [];
  const notes = [
    query.truncated === null ? "" : `truncated over UDP after ${milliseconds(query.truncated.udp_ms)}`,
    query.tries > 1 ? `${query.tries} tries` : "",
    exchange.ok && exchange.reply.ad ? "DNSSEC ok" : "",
  ].filter((note) => note !== "");
  return [
    cell(report.label, width, "bold"),
    cell(query.transport, 5, "dim"),
    cell(outcomeOf(query) ?? "FAILED", 11, tone),
    figure(milliseconds(query.query_ms), 10),
    figure(exchange.ok ? seconds(shortestTtl(exchange.reply)) : "–", 8, "dim"),
    cell(exchange.ok ? listed(answers, answers.length) : exchange.message.slice(0, 120), 0, exchange.ok ? "plain" : "bad"),
    ...(notes.length > 0 ? [cell(`(${notes.join(", ")})`, 0, "dim")] : []),
  ];
}

const header = (width: number): Row => [
  cell("resolver", width, "dim"),
  cell("over", 5, "dim"),
  cell("outcome", 11, "dim"),
  figure("query", 10, "dim"),
  figure("connect", 10, "dim"),
  figure("TTL", 8, "dim"),
  cell("answers", 0, "dim"),
];

function resolverRow(each: ResolverDetail, width: number, fastest: boolean): Row {
  const lost = each.sent - each.received;
  const loss = each.sent > 1 && lost > 0 ? ` (${lost} of ${each.sent} queries unanswered)` : "";
  const said = each.received > 0 ? listed(each.answers, each.answers_total) : (each.error?.message.slice(0, 100) ?? "");
  return [
    cell(each.server, width, "bold"),
    cell(each.transport, 5, "dim"),
    cell(each.rcode ?? "FAILED", 11, each.error === null ? "good" : "bad"),
    figure(milliseconds(each.query_ms), 10, fastest ? "good" : "plain"),
    figure(milliseconds(each.connect?.ms), 10),
    figure(seconds(each.ttl_min ?? each.negative_ttl), 8),
    cell(`${said}${loss}`, 0, each.received > 0 ? "plain" : "dim"),
  ];
}

function verdictRows(result: Measurement, resolvers: readonly ResolverDetail[]): Row[] {
  if (resolvers.length < 2) return [];
  const { dns_resolver_diff: differ, dns_fastest_resolver: fastest } = result.metrics;
  const silent = resolvers.filter(({ received }) => received === 0).length;
  const rows: Row[] = [];
  if (differ === true) rows.push([cell("The resolvers disagree: their records or outcomes differ.", 0, "warn")]);
  if (differ === false) rows.push([cell("The resolvers that answered agree.", 0, "good")]);
  if (silent > 0) rows.push([cell(`${silent} of ${resolvers.length} resolvers did not answer.`, 0, "bad")]);
  if (typeof fastest === "string") rows.push([cell(`Fastest: ${fastest}`, 0, "dim")]);
  return rows;
}

/** The finished run: every resolver in a row, then what follows from them. */
export function dnsView(result: Measurement): readonly Row[] {
  const resolvers = (result.detail.resolvers ?? []) as readonly ResolverDetail[];
  if (resolvers.length === 0) return [];
  const width = Math.max(...resolvers.map(({ server }) => server.length), "resolver".length);
  const { dns_fastest_resolver: fastest, dns_os_ms: own } = result.metrics;
  return [
    header(width),
    ...resolvers.map((each) => resolverRow(each, width, each.server === fastest)),
    ...(typeof own === "number" ? [[cell(`The operating system's own look-up took ${milliseconds(own)}`, 0, "dim")]] : []),
    ...verdictRows(result, resolvers),
  ];
}
