// What a result may still say of the network after the host had its part in it. Pure.
import { METRICS, type MetricName } from "#contract/metrics";
import { TEST_TYPES, type TestTypeName } from "#contract/test-types/index";
import { JUMP_MS } from "./host-clock.ts";
import { MetricSheet, type Outcome, unmeasured } from "./probes/probe.ts";

/** How far times of this process may be off, ms. */
export interface Unsureness {
  /** Of a single time, a maximum, a percentile or a variation: one late look is enough. */
  readonly single_ms: number;
  /** Of a median, mean or minimum of several: what each of them was late in the mean. */
  readonly central_ms: number;
}

/** A time that may be off by more than this is none. */
const LEAST_MS = 5;
const SHARE = 0.2;

/**
 * Times that are read by this process's event loop. What tools and kernels stamp is not among them, nor what a bandwidth test
 * times, which asks the kernel, nor directions whose stamps the far end makes.
 */
const LOOP_TIMED: Partial<Record<TestTypeName, readonly MetricName[]>> = {
  ping: ["tcp_ping_min", "tcp_ping_median", "tcp_ping_p95", "tcp_ping_max"],
  tcp: ["tcp_connect_ms", "tcp_connect_min", "tcp_connect_p95", "tcp_connect_max"],
  tls: ["tls_handshake_ms", "tls_tcp_ms"],
  dns: ["dns_query_ms", "dns_query_min_ms", "dns_query_max_ms", "dns_query_p95_ms", "dns_connect_ms", "dns_os_ms"],
  http: [
    "http_total_ms",
    "http_dns_ms",
    "http_tcp_ms",
    "http_tls_ms",
    "http_ttfb_ms",
    "http_request_ms",
    "http_download_ms",
    "http_redirects_ms",
    "http_reuse_ttfb_ms",
  ],
  udp: [
    "udp_rtt_min",
    "udp_rtt_median",
    "udp_rtt_mean",
    "udp_rtt_p95",
    "udp_rtt_p99",
    "udp_rtt_max",
    "udp_rtt_stddev",
    "udp_jitter_rfc3550_down",
    "udp_ipdv_mean_down",
    "udp_pdv_p95_down",
    "udp_owd_down_ms",
  ],
  voip: ["voip_jitter_down", "voip_rtt_median", "voip_one_way_delay_est_ms", "sip_options_rtt"],
};

/** Of several times, these hold although single ones are late. The plain names are medians. */
const CENTRAL = /_(min|median|mean)(_ms)?$|^(tcp_connect|dns_query|udp_owd_down)_ms$/;

/** What is a sum of a time and of what is known holds as that time does. */
const MADE_OF: Partial<Record<MetricName, MetricName>> = { voip_one_way_delay_est_ms: "voip_rtt_median" };

/** Types whose times are differences of the wall clock, as the system's tools take them. */
const WALL_TIMED: ReadonlySet<TestTypeName> = new Set(["ping", "traceroute", "mtu", "qos"]);

function without(outcome: Outcome, names: readonly MetricName[]): Outcome {
  const sheet = new MetricSheet();
  Object.assign(sheet.metrics, outcome.metrics);
  Object.assign(sheet.reasons, outcome.reasons);
  for (const name of names) sheet.set(name, null, "host_overloaded");
  return { ...outcome, metrics: sheet.metrics, reasons: sheet.reasons };
}

/**
 * Takes out the times that may be off by more than 5 ms and a fifth. Answers which. A late look only adds to a time, so none is
 * off by more than itself: what was read as 2 ms under the worst load is 2 ms at most, and stays.
 */
export function withoutLate(type: TestTypeName, outcome: Outcome, unsure: Unsureness): { outcome: Outcome; names: MetricName[] } {
  const isLate = (name: MetricName): boolean => {
    const value = outcome.metrics[name];
    const late = CENTRAL.test(name) ? unsure.central_ms : unsure.single_ms;
    return typeof value === "number" && Math.min(late, Math.abs(value)) > Math.max(LEAST_MS, SHARE * Math.abs(value));
  };
  const names = (LOOP_TIMED[type] ?? []).filter((name) => isLate(MADE_OF[name] ?? name));
  return { outcome: names.length === 0 ? outcome : without(outcome, names), names };
}

const timesOf = (type: TestTypeName): MetricName[] =>
  (TEST_TYPES[type].metrics as readonly MetricName[]).filter((name) => METRICS[name].unit === "ms");

/**
 * Whether a jump of the wall clock may have got into a tool's times: it adds itself, half a second or more, to whatever was on
 * its way, and makes nothing of it where it went backwards. Between the two no time has changed.
 */
function mayHoldJump(type: TestTypeName, { metrics }: Outcome): boolean {
  return timesOf(type).some((name) => {
    const value = metrics[name];
    return typeof value === "number" && (value >= JUMP_MS || (value <= 0 && /_(min|median|mean|rtt)/.test(name)));
  });
}

/** The outcome of a run during which the wall clock was set: without a tool's times where the jump may be in them. */
export function withoutJump(type: TestTypeName, outcome: Outcome): Outcome {
  return WALL_TIMED.has(type) && mayHoldJump(type, outcome) ? without(outcome, timesOf(type)) : outcome;
}

/**
 * The outcome of a run that a sleep or standstill cut in two. What a tool measured whole and without a loss meanwhile stays;
 * of everything else nobody can tell what the network did.
 */
export function cutInTwo(type: TestTypeName, outcome: Outcome, away_ms: number): Outcome {
  const whole = WALL_TIMED.has(type) && outcome.status === "ok" && !mayHoldJump(type, outcome);
  if (whole) return outcome;
  const seconds = (away_ms / 1000).toFixed(1);
  const message = `this host slept, or was held, for ${seconds} s during the run; what it missed says nothing about the network`;
  const { address, detail, status, error } = outcome;
  const error_ = { code: "host_overloaded", source: "agent", message } as const;
  const before = { status, error: error === null ? null : { code: error.code, source: error.source } };
  return { ...unmeasured(type, error_, "host_overloaded", { address, detail: { ...detail, before } }), flags: outcome.flags };
}
