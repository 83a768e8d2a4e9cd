// From what the resolvers answered to the metrics of a run. Pure.
import { metricsOf } from "#contract/metrics";
import type { DnsParams } from "#contract/test-types/dns";
import { outcomeOf } from "../dns/ask.ts";
import type { SystemAnswer } from "../resolve.ts";
import { median, PERCENTILE_MIN, percentile, round3 } from "../statistics.ts";
import { chosen, compare, connectionOf, hashOf, type Report, reasonOf, replyOf, shortestTtl, timesOf } from "./dns-report.ts";
import { MetricSheet } from "./probe.ts";

/** The operating system's own look-up: not asked for, without an answer in time, or what it said. */
export type SystemLookup = "not asked" | "timeout" | SystemAnswer;

const rounded = (value: number | undefined): number | undefined => (value === undefined ? undefined : round3(value));

export function dnsMetrics(reports: readonly Report[], params: DnsParams, system: SystemLookup): MetricSheet {
  const sheet = new MetricSheet();
  setSystem(sheet, system);
  const [first] = reports;
  if (first === undefined) {
    sheet.fill(metricsOf("dns"), "not_applicable");
    return sheet;
  }
  setTimes(sheet, first, params);
  setAnswer(sheet, first, params);
  const { differ, fastest } = compare(reports, params);
  const silent = reports.find((report) => replyOf(chosen(report, params)) === null);
  const alone = reports.length < 2 || silent === undefined ? "not_applicable" : reasonOf(silent, params);
  sheet.set("dns_resolver_diff", differ, alone);
  sheet.set("dns_fastest_resolver", fastest, alone);
  sheet.fill(metricsOf("dns"), "not_applicable");
  return sheet;
}

function setSystem(sheet: MetricSheet, system: SystemLookup): void {
  if (system === "not asked") sheet.set("dns_os_ms", null, "not_applicable");
  else if (system === "timeout") sheet.set("dns_os_ms", null, "timeout");
  else sheet.set("dns_os_ms", system.error === null ? system.took_ms : null, "dns_fail");
}

function setTimes(sheet: MetricSheet, report: Report, params: DnsParams): void {
  const times = timesOf(report);
  const reason = reasonOf(report, params);
  sheet.set("dns_query_ms", rounded(median(times)), reason);
  sheet.set("dns_query_min_ms", rounded(percentile(times, 0)), reason);
  sheet.set("dns_query_max_ms", rounded(percentile(times, 100)), reason);
  const enough = times.length >= PERCENTILE_MIN.p95;
  sheet.set("dns_query_p95_ms", enough ? rounded(percentile(times, 95)) : null, times.length === 0 ? reason : "too_few_samples");
  const { transport } = chosen(report, params) ?? report;
  sheet.set("dns_connect_ms", connectionOf(report)?.ms, transport === "udp" ? "not_applicable" : reason);
  const located = report.unlocated === null;
  sheet.set("dns_sent", located ? report.queries.length : null, "dns_fail");
  sheet.set("dns_received", located ? report.queries.filter(({ exchange }) => exchange.ok).length : null, "dns_fail");
}

function setAnswer(sheet: MetricSheet, report: Report, params: DnsParams): void {
  const query = chosen(report, params);
  const reply = replyOf(query);
  const reason = reasonOf(report, params);
  sheet.set("dns_server", report.label, reason);
  sheet.set("dns_transport", query?.transport ?? report.transport, reason);
  sheet.set("dns_rcode", query === undefined ? null : outcomeOf(query), reason);
  sheet.set("dns_tc", query?.truncated ? true : reply?.tc, reason);
  sheet.set("dns_answers", reply?.answers.length, reason);
  sheet.set("dns_answers_hash", reply && hashOf(reply), reason);
  sheet.set("dns_ttl_min", reply && shortestTtl(reply), reason);
  sheet.set("dns_response_bytes", reply?.bytes, reason);
  sheet.set("dns_aa", reply?.aa, reason);
  sheet.set("dns_ra", reply?.ra, reason);
  sheet.set("dns_ad", reply?.ad, reason);
  sheet.set("dns_ede", reply?.ede?.code, reason);
}
