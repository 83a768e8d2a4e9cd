// The metric catalogue: every number, flag or word a measurement may carry, once.
// Adding a metric is one entry in its family's file plus the probe line that measures it.
import { AGENT_METRICS } from "./metrics/agent.ts";
import { BANDWIDTH_METRICS } from "./metrics/bandwidth.ts";
import type { MetricDefinition, Source } from "./metrics/define.ts";
import { DNS_METRICS } from "./metrics/dns.ts";
import { HARDWARE_METRICS } from "./metrics/hardware.ts";
import { HOST_METRICS } from "./metrics/host.ts";
import { HTTP_METRICS } from "./metrics/http.ts";
import { MTU_METRICS } from "./metrics/mtu.ts";
import { PATH_METRICS } from "./metrics/path.ts";
import { PING_METRICS } from "./metrics/ping.ts";
import { QOS_METRICS } from "./metrics/qos.ts";
import { TCP_METRICS } from "./metrics/tcp.ts";
import { TLS_METRICS } from "./metrics/tls.ts";
import { UDP_METRICS } from "./metrics/udp.ts";
import { VOIP_METRICS } from "./metrics/voip.ts";

export type { Direction, MetricDefinition, Unit } from "./metrics/define.ts";

export const METRICS = {
  ...PING_METRICS,
  ...PATH_METRICS,
  ...MTU_METRICS,
  ...TCP_METRICS,
  ...UDP_METRICS,
  ...BANDWIDTH_METRICS,
  ...VOIP_METRICS,
  ...DNS_METRICS,
  ...TLS_METRICS,
  ...HTTP_METRICS,
  ...QOS_METRICS,
  ...HOST_METRICS,
  ...HARDWARE_METRICS,
  ...AGENT_METRICS,
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** Definition by name, for code that meets names at run time. */
export const metricDefinition = (name: MetricName): MetricDefinition => METRICS[name];

export const METRIC_NAMES = Object.keys(METRICS) as MetricName[];

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(METRICS, name);
}

/** Names of one source, in catalogue order. */
export function metricsOf(source: Source): MetricName[] {
  return METRIC_NAMES.filter((name) => METRICS[name].source === source);
}

export type MetricValue = number | string | boolean | null;

/** Why a metric is null. */
export const REASONS = [
  "unsupported",
  "no_permission",
  "tool_missing",
  "timeout",
  "dns_fail",
  "no_route",
  "refused",
  "not_applicable",
  "too_few_samples",
  "host_overloaded",
] as const;
export type Reason = (typeof REASONS)[number];
