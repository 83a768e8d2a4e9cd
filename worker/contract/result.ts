// One measurement, as the agent sends it and as the web API answers it.
import { z } from "zod";
import { LIMITS } from "./limits.ts";
import { isMetricName, METRICS, type MetricName, type MetricValue, REASONS, type Reason } from "./metrics.ts";

export const STATUSES = ["ok", "partial", "failed"] as const;
export type Status = (typeof STATUSES)[number];

/** Whose fault a failure is: a dead target and an agent without a resolver must never share a chart. */
export const ERROR_SOURCES = ["target", "network", "resolver", "agent", "tool"] as const;
export type ErrorSource = (typeof ERROR_SOURCES)[number];

/** Codes a probe may answer with. */
export const ERROR_CODES = [
  "no_reply",
  "unreachable",
  "refused",
  "filtered",
  "reset",
  "tls_failed",
  "certificate",
  "bad_response",
  "http_status",
  "assertion_failed",
  "too_large",
  "dns_refused",
  "dns_no_data",
  "dns_not_found",
  "dns_failed",
  "dns_timeout",
  "no_address",
  "no_route",
  "tool_missing",
  "no_permission",
  "tool_failed",
  "unreadable_output",
  "deadline",
  "aborted",
  "skipped",
  "not_consented",
  "cut_off",
  "host_overloaded",
  "over_budget",
  "peer_unavailable",
  "invalid_instruction",
  "unsupported",
  "internal",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export const resultErrorSchema = z.object({
  code: z.enum(ERROR_CODES),
  source: z.enum(ERROR_SOURCES),
  message: z.string().max(1000),
});
export type ResultError = z.infer<typeof resultErrorSchema>;

/** Codes of runs that the host itself, its owner or its agent's end kept from measuring: they say nothing of the target. */
const UNMEASURED_CODES: readonly string[] = ["cut_off", "not_consented", "host_overloaded", "aborted"] satisfies ErrorCode[];

/** Whether a run was not measured here: neither fine nor failing. */
export const isUnmeasured = ({ status, error }: { status: Status; error: ResultError | null }): boolean =>
  status === "failed" && error?.source === "agent" && UNMEASURED_CODES.includes(error.code);

export type Metrics = Partial<Record<MetricName, MetricValue>>;
export type Reasons = Partial<Record<MetricName, Reason>>;

const metricValue = z.union([z.number(), z.string().max(500), z.boolean(), z.null()]);

/** Unknown metrics are dropped (an agent may be newer than the edge); a known one of the wrong kind makes the result invalid. */
const metricsSchema = z.record(z.string().max(64), metricValue).transform((values, context): Metrics => {
  const known: Metrics = {};
  for (const [name, value] of Object.entries(values)) {
    if (!isMetricName(name)) continue;
    if (value !== null && typeof value !== METRICS[name].kind) {
      context.issues.push({ code: "custom", message: `must be a ${METRICS[name].kind} or null`, path: [name], input: value });
      continue;
    }
    known[name] = value;
  }
  return known;
});

const reasonsSchema = z.record(z.string().max(64), z.string().max(64)).transform((values): Reasons => {
  const known: Reasons = {};
  for (const [name, reason] of Object.entries(values)) {
    if (isMetricName(name)) known[name] = REASONS.find((code) => code === reason) ?? "unsupported";
  }
  return known;
});

/** Up to the year 9999, so that a start plus its duration is still a date of RFC 3339. */
const epochMs = z.number().int().min(0).max(253_370_764_800_000);

/** Fields every uploaded item has. `started_at` is UTC epoch milliseconds by the agent's clock. */
const itemSchema = z.object({
  seq: z.number().int().min(1),
  started_at: epochMs,
  duration_ms: z.number().min(0).max(86_400_000),
  metrics: metricsSchema,
  reasons: reasonsSchema.default({}),
  detail: z.record(z.string(), z.unknown()).default({}),
  flags: z.array(z.string().max(64)).max(16).default([]),
});

/** A sample of the host and of the agent itself. */
export const hostSampleSchema = itemSchema;
export type HostSample = z.infer<typeof hostSampleSchema>;

/** What one run of a probe answers, before it has a place in an outbox. */
export const measurementSchema = itemSchema.omit({ seq: true }).extend({
  type: z.string().min(1).max(32),
  destination: z.string().max(LIMITS.destinationLength),
  /** The address measured; null when none was found. */
  address: z.string().max(64).nullable(),
  status: z.enum(STATUSES),
  error: resultErrorSchema.nullable(),
});
export type Measurement = z.infer<typeof measurementSchema>;

/** A result on the agent wire. `test_id` is null for an ad-hoc run, `run_id` names the order it answers. */
export const wireResultSchema = measurementSchema.extend({
  seq: z.number().int().min(1),
  test_id: z.string().max(64).nullable(),
  run_id: z.string().max(64).nullable().default(null),
});
export type WireResult = z.infer<typeof wireResultSchema>;

const timestamp = z.iso.datetime({ offset: false });

/** A result in the web API. Times are RFC 3339 UTC; `host` is the host sample nearest in time. */
export const resultSchema = z.object({
  id: z.string(),
  seq: z.number().int(),
  client_id: z.string(),
  test_id: z.string().nullable(),
  /** The client measured against, where the test names clients as destination. */
  peer_id: z.string().nullable(),
  run_id: z.string().nullable(),
  type: z.string(),
  destination: z.string(),
  address: z.string().nullable(),
  started_at: timestamp,
  received_at: timestamp,
  duration_ms: z.number(),
  status: z.enum(STATUSES),
  error: resultErrorSchema.nullable(),
  metrics: z.record(z.string(), metricValue),
  reasons: z.record(z.string(), z.string()),
  detail: z.record(z.string(), z.unknown()),
  flags: z.array(z.string()),
  host: z.record(z.string(), metricValue).nullable(),
});
export type Result = z.infer<typeof resultSchema>;

/** A host sample in the web API and on live sockets. */
export const hostReadingSchema = z.object({
  seq: z.number().int(),
  client_id: z.string(),
  started_at: timestamp,
  received_at: timestamp,
  duration_ms: z.number(),
  metrics: z.record(z.string(), metricValue),
  reasons: z.record(z.string(), z.string()),
  detail: z.record(z.string(), z.unknown()),
  flags: z.array(z.string()),
});
export type HostReading = z.infer<typeof hostReadingSchema>;
