// From a finished journey to its metrics. Pure.
import { type MetricName, metricsOf, type Reason } from "#contract/metrics";
import { HTTP_TLS_METRICS } from "#contract/test-types/http";
import { hostClock } from "../host-clock.ts";
import { type CacheReading, cacheReading } from "../http/cache.ts";
import { type Content, codingsOf } from "../http/content.ts";
import { headerOf, type ResponseHeaders } from "../http/exchange.ts";
import type { Finding } from "../http/expect.ts";
import type { Failure } from "../http/failure.ts";
import type { Journey } from "../http/journey.ts";
import type { Reuse } from "../http/reuse.ts";
import type { Visit } from "../http/visit.ts";
import { printable } from "../printable.ts";
import { round3 } from "../statistics.ts";
import { MetricSheet } from "./probe.ts";
import { setAgreement } from "./tls-metrics.ts";

/** Longest text a metric holds. */
const TEXT_MAX = 500;

/** Durations of a visit's phases, ms; null where it has no such phase or did not end it. Without nulls they add up to the total. */
export interface Phases {
  readonly dns: number | null;
  readonly tcp: number | null;
  readonly tls: number | null;
  /** Part of `ttfb`. */
  readonly request: number | null;
  readonly ttfb: number | null;
  readonly download: number | null;
  readonly total: number | null;
  /** From the start to the first byte. */
  readonly head: number | null;
}

/** The moments of a visit as durations. */
export function phasesOf({ clock, exchange }: Visit): Phases {
  const span = (from: number | null, to: number | null | undefined) =>
    from === null || to === null || to === undefined ? null : round3(Math.max(0, to - from));
  const { asked } = clock;
  // The whole without this host's own time before the request, so that the phases are all there is.
  const own = asked === null ? 0 : asked - (clock.secured ?? clock.connected ?? asked);
  return {
    dns: span(clock.begun, clock.resolved),
    tcp: span(clock.resolved ?? clock.begun, clock.connected),
    tls: span(clock.connected, clock.secured),
    request: span(asked, exchange?.written),
    ttfb: span(asked, exchange?.first),
    download: span(exchange?.first ?? null, exchange?.last),
    total: span(clock.begun + own, exchange?.last),
    head: span(clock.begun + own, exchange?.first),
  };
}

/** Time from a journey's start to its last request's start, ms; null without redirects. */
export function redirectsMs({ visits, last }: Journey): number | null {
  const [first] = visits;
  return first === undefined || visits.length < 2 ? null : round3(last.clock.begun - first.clock.begun);
}

/** Why whatever comes after this failure was not measured. */
export function reasonOf(cause: Failure | null): Reason {
  switch (cause?.code) {
    case "dns_refused":
    case "dns_no_data":
    case "dns_not_found":
    case "dns_failed":
    case "dns_timeout":
    case "no_address":
      return "dns_fail";
    case "deadline":
    case "aborted":
    case "no_reply":
      return "timeout";
    case "refused":
    case "filtered":
    case "reset":
    case "tls_failed":
      return "refused";
    case "no_route":
    case "unreachable":
      return "no_route";
    case "no_permission":
      return "no_permission";
    default:
      return "not_applicable";
  }
}

/** Text from the network as a metric: printable and not too long. */
function word(values: readonly string[] | undefined): string | undefined {
  const text = printable(values?.join(", ").trim() ?? "", TEXT_MAX);
  return text === "" ? undefined : text;
}

/** What there is to say once a run has ended. */
export interface Told {
  readonly journey: Journey;
  /** What the run failed of; null when it did not. */
  readonly failure: Failure | null;
  readonly content: Content | null;
  readonly findings: readonly Finding[];
  readonly reuse: Reuse | null;
}

/** Every metric of a run, value or null with its reason. Times are ms, rounded to the microsecond. */
export function httpMetrics(told: Told): MetricSheet {
  const { journey, failure: cause } = told;
  const sheet = new MetricSheet();
  const reason = reasonOf(journey.failure);
  setPhases(sheet, journey, reason);
  setResponse(sheet, journey, reason);
  setBody(sheet, told, reason);
  setFindings(sheet, told.findings);
  sheet.set("http_reused", told.reuse?.reused, told.reuse?.reason ?? reason);
  sheet.set("http_reuse_ttfb_ms", told.reuse?.ttfb_ms, told.reuse?.reason ?? reason);
  sheet.set("http_ipv", journey.last.family, reason);
  sheet.set("http_final_url", journey.last.target.label.slice(0, TEXT_MAX), reason);
  sheet.set("http_redirects", journey.visits.length - 1, reason);
  sheet.set("http_redirects_ms", redirectsMs(journey), "not_applicable");
  sheet.set("http_error", cause === null ? undefined : (cause.raw ?? cause.code), "not_applicable");
  setTls(sheet, journey.last, reason);
  sheet.fill(metricsOf("http"), "unsupported");
  return sheet;
}

function setPhases(sheet: MetricSheet, journey: Journey, reason: Reason): void {
  const { last } = journey;
  const phases = phasesOf(last);
  sheet.set("http_dns_ms", phases.dns, last.via === "literal" ? "not_applicable" : reason);
  sheet.set("http_tcp_ms", phases.tcp, reason);
  sheet.set("http_tls_ms", phases.tls, last.target.scheme === "http" ? "not_applicable" : reason);
  // Node does not tell when an HTTP/2 request has left.
  sheet.set("http_request_ms", phases.request, last.exchange?.version === "2" ? "unsupported" : reason);
  sheet.set("http_ttfb_ms", phases.ttfb, reason);
  sheet.set("http_download_ms", phases.download, reason);
  sheet.set("http_total_ms", phases.total, reason);
}

function setResponse(sheet: MetricSheet, { last }: Journey, reason: Reason): void {
  const headers: ResponseHeaders = last.exchange?.headers ?? new Map();
  const answered = last.exchange !== null && last.exchange.status !== null;
  const absent: Reason = answered ? "not_applicable" : reason;
  sheet.set("http_status", last.exchange?.status, reason);
  sheet.set("http_version", last.exchange?.version, reason);
  sheet.set("http_content_type", word(headers.get("content-type")), absent);
  sheet.set(
    "http_content_encoding",
    answered ? (word(codingsOf(headers.get("content-encoding"))) ?? "identity") : undefined,
    absent,
  );
  sheet.set("http_server_timing", word(headers.get("server-timing")), absent);
  sheet.set("http_cache_status", cacheReading(headers)?.status, absent);
}

function setBody(sheet: MetricSheet, { journey, content }: Told, reason: Reason): void {
  const { exchange } = journey.last;
  const read = exchange !== null && exchange.first !== null && !exchange.unread;
  const unknown: Reason = content?.unknown === null ? reason : "unsupported";
  sheet.set("http_bytes_wire", read ? exchange.body.length : undefined, reason);
  sheet.set("http_bytes_decoded", content?.decoded, content === null ? reason : unknown);
  sheet.set("http_truncated", content?.truncated, reason);
  sheet.set("http_body_sha256", content?.sha256, content === null ? reason : unknown);
  const encoded = exchange !== null && codingsOf(exchange.headers.get("content-encoding")).length > 0;
  const whole = content !== null && !content.truncated && content.broken === null && content.decoded !== null;
  const ratio = encoded && whole && exchange.body.length > 0 ? round3((content.decoded ?? 0) / exchange.body.length) : undefined;
  sheet.set(
    "http_compression_ratio",
    ratio,
    content === null ? reason : content.unknown === null ? "not_applicable" : "unsupported",
  );
}

function setFindings(sheet: MetricSheet, findings: readonly Finding[]): void {
  const body = findings.find(({ what }) => what === "body");
  sheet.set("http_body_match", body?.ok, "not_applicable");
  sheet.set("http_assertions_ok", findings.length === 0 ? undefined : findings.every(({ ok }) => ok), "not_applicable");
}

function setTls(sheet: MetricSheet, { target, tls }: Visit, reason: Reason): void {
  const names: readonly MetricName[] = HTTP_TLS_METRICS;
  if (target.scheme === "http" || tls === null) {
    sheet.fill(names, target.scheme === "http" ? "not_applicable" : reason);
    return;
  }
  setAgreement(sheet, tls, hostClock.now());
}

/** What of a run is no scalar. */
export function httpDetail(told: Told): Record<string, unknown> {
  const { journey, findings } = told;
  const { last, visits } = journey;
  const cache: CacheReading | undefined = last.exchange === null ? undefined : cacheReading(last.exchange.headers);
  const age = last.exchange === null ? undefined : headerOf(last.exchange.headers, "age");
  return {
    final_url: last.target.label,
    port: last.target.port,
    resolved_by: last.via,
    ...(last.exchange !== null && last.exchange.interim > 0 ? { interim_responses: last.exchange.interim } : {}),
    ...(visits.length > 1 ? { redirects: visits.slice(0, -1).map(redirectDetail) } : {}),
    ...(cache === undefined
      ? {}
      : { cache: { header: cache.header, said: cache.said, age: age === undefined ? null : printable(age, 20) } }),
    ...(findings.length > 0 ? { assertions: findings } : {}),
  };
}

function redirectDetail(visit: Visit): Record<string, unknown> {
  const { dns, tcp, tls, ttfb, head } = phasesOf(visit);
  const version = visit.exchange?.version ?? null;
  return {
    url: visit.target.label.slice(0, 1000),
    status: visit.exchange?.status ?? null,
    version,
    address: visit.address,
    dns_ms: dns,
    tcp_ms: tcp,
    tls_ms: tls,
    ttfb_ms: ttfb,
    // Its body is not read.
    total_ms: head,
  };
}
