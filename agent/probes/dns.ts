// DNS: asks resolvers directly and times them, without the caches of the operating system.
import { type DnsParams, dnsQuestion } from "#contract/test-types/dns";
import { askServer } from "../dns/ask.ts";
import { type Codec, loadCodec, type Question } from "../dns/codec.ts";
import { type Candidate, locate, planResolvers } from "../dns/resolvers.ts";
import { systemLookup } from "../resolve.ts";
import { dnsMetrics, type SystemLookup } from "./dns-metrics.ts";
import { detailOf, type Report, verdict } from "./dns-report.ts";
import { answerRow, dnsView } from "./dns-view.ts";
import { type Outcome, type Places, type Probe, type RunContext, unmeasured } from "./probe.ts";

interface Run {
  readonly params: DnsParams;
  readonly question: Question;
  readonly context: RunContext;
  readonly codec: Codec;
  /** Width of the resolver column. */
  readonly width: number;
}

async function reportOn(candidate: Candidate, { params, question, context, codec, width }: Run): Promise<Report> {
  if (!candidate.ok) {
    const { label, transport, code, message } = candidate;
    return { label, address: null, transport, queries: [], unlocated: { code, message } };
  }
  const { server } = candidate;
  const order = { server, question, codec };
  const queries = await askServer(order, params, context.budget, {
    ready: () => context.measuring(),
    onQuery: (query) => {
      if (context.watched) context.show(answerRow({ label: server.label }, width, query, params));
    },
  });
  return { label: server.label, address: server.address, transport: server.transport, queries, unlocated: null };
}

async function askSystem(name: string, params: DnsParams, signal: AbortSignal): Promise<SystemLookup> {
  if (params.system !== true) return "not asked";
  return (await systemLookup(name, params.record_type === "AAAA" ? 6 : 4, signal)) ?? "timeout";
}

async function run(destination: string, params: DnsParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const asked = dnsQuestion(destination, params.record_type);
  if (!asked.ok) {
    const error = { code: "invalid_instruction", source: "agent", message: `destination ${asked.message}` } as const;
    return unmeasured("dns", error, "not_applicable");
  }
  const question = { name: asked.name, type: params.record_type, recursion: params.recursion, dnssec: params.dnssec === true };
  const codec = await loadCodec();
  const candidates = await Promise.all(planResolvers(params).map((each) => locate(each, params.servername, budget)));
  const width = Math.max(0, ...candidates.map((each) => (each.ok ? each.server.label : each.label).length));
  const around: Run = { params, question, context, codec, width };
  const queryTime = budget.part("system", params.tries * params.timeout * 1000);
  const [system, ...reports] = await Promise.all([
    askSystem(asked.name, params, queryTime.signal),
    ...candidates.map((candidate) => reportOn(candidate, around)),
  ]);
  if (budget.stopped) {
    const error = { code: "aborted", source: "agent", message: "the run was stopped before its end" } as const;
    return unmeasured("dns", error, "timeout", { address: reports[0]?.address ?? null });
  }
  return outcome(reports, system, around);
}

function outcome(reports: readonly Report[], system: SystemLookup, { params, question }: Run): Outcome {
  const words = `${question.name} ${question.type}`;
  const { status, error } = verdict(reports, params, words);
  const sheet = dnsMetrics(reports, params, system);
  const { metrics } = sheet;
  return {
    address: reports[0]?.address ?? null,
    status,
    error: error === null ? null : { ...error, message: error.message.slice(0, 1000) },
    metrics,
    reasons: sheet.reasons,
    detail: {
      question: { name: question.name, type: question.type, recursion: question.recursion, dnssec: question.dnssec },
      resolvers: reports.map((report) => detailOf(report, params, words)),
      ...(typeof system === "object" ? { system: { ...system, addresses: system.addresses.slice(0, 16) } } : {}),
    },
    flags: [
      ...(metrics.dns_resolver_diff === true ? ["resolvers_differ"] : []),
      ...(metrics.dns_tc === true ? ["truncated"] : []),
      ...(reports.some(({ queries }) => queries.some(({ tries, exchange }) => tries > 1 && exchange.ok)) ? ["retried"] : []),
    ],
  };
}

/** Most sockets a run takes places for. */
const SOCKETS_MAX = 16;

/** Over UDP a socket for each query that may still wait when the next is sent; over the others one connection serves them all. */
function places(params: DnsParams): Places {
  const { count, interval, tries, timeout } = params;
  const overlapping = Math.max(1, Math.min(count, Math.ceil((tries * timeout) / interval)));
  const sockets = planResolvers(params).reduce((sum, each) => sum + (each.transport === "udp" ? overlapping : 1), 0);
  return { sockets: Math.min(SOCKETS_MAX, Math.max(1, sockets)) };
}

/** Queries to stated resolvers (RFC 1035, 7766, 7858, 8484; outcomes as RFC 2308, 6895, 8914). */
export const dns: Probe<"dns"> = { places, run, view: dnsView };
