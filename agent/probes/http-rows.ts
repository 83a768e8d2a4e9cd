// What people see of an HTTP run: each phase as it ends, at the end the phases as a waterfall.
import type { MetricName, MetricValue } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import type { Content } from "../http/content.ts";
import type { Reuse } from "../http/reuse.ts";
import type { PhaseName, Visit } from "../http/visit.ts";
import { cell, figure, milliseconds, type Row, type Tone } from "../rows.ts";
import { phasesOf } from "./http-metrics.ts";

const NAME_WIDTH = 10;
const MS_WIDTH = 10;
/** Characters the whole request takes in the waterfall. */
const BAR_WIDTH = 48;

const phaseRow = (name: string, ms: number | null, remark: string, tone: Tone = "plain"): Row => [
  cell(name, NAME_WIDTH, "dim"),
  figure(milliseconds(ms), MS_WIDTH),
  cell(remark, 0, tone),
];

const statusTone = (status: number): Tone => (status < 300 ? "good" : status < 400 ? "warn" : "bad");

/** A phase that has just ended. */
export function passedRow(phase: PhaseName, visit: Visit): Row {
  const phases = phasesOf(visit);
  const { target, tls, exchange } = visit;
  switch (phase) {
    case "dns":
      return phaseRow("name", phases.dns, `${target.host} → ${visit.address ?? "–"}`);
    case "tcp":
      return phaseRow("TCP", phases.tcp, `${visit.address ?? "–"} port ${target.port}`);
    case "tls": {
      const error = tls?.authorization_error ?? null;
      const valid = tls !== null && error === null;
      const remark = `${tls?.version ?? "TLS"}, ${tls?.alpn ?? "no ALPN"}, ${valid ? "certificate valid" : (error ?? "certificate not valid")}`;
      return phaseRow("TLS", phases.tls, remark, valid ? "plain" : "bad");
    }
    case "head": {
      const status = exchange?.status ?? 0;
      return phaseRow(
        "first byte",
        phases.ttfb,
        `HTTP/${exchange?.version ?? "?"} ${status} ${target.label.slice(0, 60)}`,
        statusTone(status),
      );
    }
  }
}

export function bodyRow(visit: Visit, content: Content): Row {
  const received = visit.exchange?.body.length ?? 0;
  const decoded = content.decoded === null || content.decoded === received ? "" : ` → ${content.decoded}`;
  return phaseRow("download", phasesOf(visit).download, `${received}${decoded} bytes${content.truncated ? ", cut here" : ""}`);
}

export function reuseRow({ reused, ttfb_ms }: Reuse): Row {
  return phaseRow(
    "again",
    ttfb_ms,
    reused === true ? "on the same connection" : "the server closed the connection",
    reused === true ? "plain" : "warn",
  );
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar from one moment to another on a scale of `total`; even the shortest phase leaves a mark. */
export function bar(from: number, to: number, total: number): string {
  if (!(total > 0)) return "";
  const scale = BAR_WIDTH / total;
  const start = Math.min(BAR_WIDTH - 1, Math.floor(from * scale));
  const eighths = Math.max(1, Math.round((to * scale - start) * 8));
  return `${" ".repeat(start)}${"█".repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8] ?? ""}`;
}

type Metrics = Measurement["metrics"];
const numberOf = (metrics: Metrics, name: MetricName): number | null => {
  const value: MetricValue | undefined = metrics[name];
  return typeof value === "number" ? value : null;
};

const PHASES = [
  ["name", "http_dns_ms", "dim"],
  ["TCP", "http_tcp_ms", "plain"],
  ["TLS", "http_tls_ms", "plain"],
  ["first byte", "http_ttfb_ms", "good"],
  ["download", "http_download_ms", "plain"],
] as const satisfies readonly (readonly [string, MetricName, Tone])[];

/** The phases under each other, each where it began. */
function waterfall(metrics: Metrics): Row[] {
  const spans = PHASES.map(([name, metric, tone]) => ({ name, tone, ms: numberOf(metrics, metric) }));
  const total = spans.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
  let at = 0;
  const rows = spans.flatMap(({ name, tone, ms }): Row[] => {
    if (ms === null) return [];
    const drawn = bar(at, at + ms, total);
    at += ms;
    return [[cell(name, NAME_WIDTH, "dim"), figure(milliseconds(ms), MS_WIDTH), cell(drawn, 0, tone)]];
  });
  const whole = numberOf(metrics, "http_total_ms");
  return whole === null ? rows : [...rows, [cell("total", NAME_WIDTH, "bold"), figure(milliseconds(whole), MS_WIDTH, "bold")]];
}

/** The finished run in a few rows. */
export function httpView({ metrics, detail }: Measurement): readonly Row[] {
  const rows = waterfall(metrics);
  const fact = (name: string, text: string | undefined, tone: Tone = "plain") => {
    if (text !== undefined) rows.push([cell(name, NAME_WIDTH, "dim"), cell(text, 0, tone)]);
  };
  fact("response", responseText(metrics), statusTone(numberOf(metrics, "http_status") ?? 500));
  fact("body", bodyText(metrics));
  fact("redirects", redirectText(metrics));
  fact("reuse", reuseText(metrics));
  fact("cache", textOf(metrics, "http_cache_status"));
  fact("TLS", tlsText(metrics), metrics.tls_authorized === false ? "bad" : "plain");
  for (const { what, expected, ok, found } of assertionsOf(detail)) {
    fact("expected", `${what} ${expected}${ok ? "" : `: ${found ?? "not so"}`}`, ok ? "good" : "bad");
  }
  return rows;
}

const textOf = (metrics: Metrics, name: MetricName): string | undefined => {
  const value: MetricValue | undefined = metrics[name];
  return value === null || value === undefined ? undefined : String(value);
};

function responseText(metrics: Metrics): string | undefined {
  const status = textOf(metrics, "http_status");
  if (status === undefined) return undefined;
  const type = textOf(metrics, "http_content_type");
  return `HTTP/${textOf(metrics, "http_version") ?? "?"} ${status}${type === undefined ? "" : `, ${type}`}, IPv${textOf(metrics, "http_ipv") ?? "?"}`;
}

function bodyText(metrics: Metrics): string | undefined {
  const wire = textOf(metrics, "http_bytes_wire");
  if (wire === undefined) return undefined;
  const ratio = numberOf(metrics, "http_compression_ratio");
  const coding = textOf(metrics, "http_content_encoding") ?? "identity";
  const decoded = coding === "identity" ? "" : `, ${textOf(metrics, "http_bytes_decoded") ?? "–"} after ${coding}`;
  const times = ratio === null ? "" : ` (× ${ratio.toFixed(ratio < 10 ? 2 : 1)})`;
  return `${wire} bytes received${decoded}${times}${metrics.http_truncated === true ? ", cut at the limit" : ""}`;
}

function redirectText(metrics: Metrics): string | undefined {
  const count = numberOf(metrics, "http_redirects") ?? 0;
  if (count === 0) return undefined;
  return `${count} in ${milliseconds(metrics.http_redirects_ms)}, to ${textOf(metrics, "http_final_url") ?? "–"}`;
}

function reuseText(metrics: Metrics): string | undefined {
  if (typeof metrics.http_reused !== "boolean") return undefined;
  return metrics.http_reused
    ? `first byte after ${milliseconds(metrics.http_reuse_ttfb_ms)}`
    : "the server closed the connection";
}

function tlsText(metrics: Metrics): string | undefined {
  const version = textOf(metrics, "tls_version");
  if (version === undefined) return undefined;
  const days = textOf(metrics, "cert_days_left");
  const valid = metrics.tls_authorized === true ? "certificate valid" : (textOf(metrics, "tls_error") ?? "certificate not valid");
  return `${version}, ${textOf(metrics, "tls_cipher") ?? "–"}, ${valid}${days === undefined ? "" : `, ${days} days left`}`;
}

interface Assertion {
  readonly what: string;
  readonly expected: string;
  readonly ok: boolean;
  readonly found: string | null;
}

const assertionsOf = (detail: Measurement["detail"]): readonly Assertion[] =>
  Array.isArray(detail.assertions) ? (detail.assertions as Assertion[]) : [];
