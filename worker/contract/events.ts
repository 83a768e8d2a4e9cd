// Events: a target failed for a client, and what witnesses saw of it. Times are RFC 3339 UTC strings.
import { z } from "zod";
import { ERROR_CODES, ERROR_SOURCES, STATUSES } from "./result.ts";

const timestamp = z.iso.datetime();

export const EVENT_KINDS = ["target_failed"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/**
 * Where the fault lies, as far as the witnesses can tell: `access` this client alone cannot reach what others reach, `site` nobody
 * of its site can, `path` it is alive but some ways to it are broken, `target` nobody reaches it, `unclear` too few could look.
 */
export const VERDICTS = ["access", "site", "path", "target", "unclear"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** `fine`: reaches the target. `failed`: does not. `unknown`: could not look, or saw nothing that tells. */
export const OPINIONS = ["fine", "failed", "unknown"] as const;
export type Opinion = (typeof OPINIONS)[number];

/** One line of the list and of a live frame; it names no other client. */
export const eventSchema = z.object({
  id: z.string(),
  client_id: z.string(),
  test_id: z.string(),
  /** The client measured against, where the test names clients as destination. */
  peer_id: z.string().nullable(),
  kind: z.enum(EVENT_KINDS),
  opened_at: timestamp,
  /** When the witnesses had spoken or their time was over; null while they are still being heard. */
  completed_at: timestamp.nullable(),
  /** When the test was fine again; null while it fails. */
  closed_at: timestamp.nullable(),
  /** null until `completed_at`. */
  verdict: z.enum(VERDICTS).nullable(),
  /** One sentence for people. */
  summary: z.string(),
});
export type NetworkEvent = z.infer<typeof eventSchema>;

/** A hop of a path. `addrs` most frequent first, empty where nothing answered. Milliseconds, percent. */
export const witnessHopSchema = z.object({
  ttl: z.number().int(),
  addrs: z.array(z.string()),
  sent: z.number(),
  received: z.number(),
  rtt_median: z.number().nullable(),
  loss_pct: z.number().nullable(),
  /** Autonomous system of the first address; null where nobody knows. */
  asn: z.number().nullable(),
});
export type WitnessHop = z.infer<typeof witnessHopSchema>;

const failureSchema = z.object({ code: z.enum(ERROR_CODES), source: z.enum(ERROR_SOURCES), message: z.string() });

/** A path as one client saw it: a traceroute result in short. `result_id` leads to the whole result; null once it is unknown. */
export const seenPathSchema = z.object({
  result_id: z.string().nullable(),
  at: timestamp,
  destination: z.string(),
  address: z.string().nullable(),
  method: z.string().nullable(),
  status: z.enum(STATUSES),
  error: failureSchema.nullable(),
  reached: z.boolean().nullable(),
  rtt_median: z.number().nullable(),
  hops: z.array(witnessHopSchema),
});
export type SeenPath = z.infer<typeof seenPathSchema>;

/** How a path differs from the last good one. Hops that did not answer and parallel next hops are no difference by themselves. */
export const pathDiffSchema = z.object({
  /** `same`, `changed` (another way), `stops` (nothing answers any more from some hop on), `unknown` (nothing to compare). */
  outcome: z.enum(["same", "changed", "stops", "unknown"]),
  /** First hop where another router answers; null where none does. */
  first_difference_ttl: z.number().int().nullable(),
  /** Last hop that answers now, where the target no longer does; 0 when none answers. */
  stops_after_ttl: z.number().int().nullable(),
  stops_after_addr: z.string().nullable(),
  changed: z.array(z.object({ ttl: z.number().int(), before: z.array(z.string()), now: z.array(z.string()) })),
  /** Hops that answered before and lie behind the last one that answers now. */
  lost: z.array(z.object({ ttl: z.number().int(), addrs: z.array(z.string()) })),
  /** Where the round trip grows, over what it grew by at the hop before. Milliseconds. */
  rtt_steps: z.array(z.object({ ttl: z.number().int(), before_ms: z.number(), now_ms: z.number(), step_ms: z.number() })),
  /** The difference in one sentence. */
  says: z.string(),
});
export type PathDiff = z.infer<typeof pathDiffSchema>;

/**
 * The server's own look at the target. `not_possible`: the target is not on the public internet, or may not be asked from there;
 * `not_applicable`: there is nothing the server could ask (another client, the client's own resolver).
 */
export const edgeCheckSchema = z.object({
  state: z.enum(["pending", "ok", "failed", "not_possible", "not_applicable"]),
  method: z.enum(["fetch", "connect"]).nullable(),
  /** What was asked: a URL without its query, or `host:port`. */
  target: z.string().nullable(),
  at: timestamp.nullable(),
  duration_ms: z.number().nullable(),
  /** Whether the host answered at all: a refused connection proves that it lives. */
  alive: z.boolean().nullable(),
  http_status: z.number().int().nullable(),
  /** What happened, for people. */
  says: z.string(),
});
export type EdgeCheck = z.infer<typeof edgeCheckSchema>;

/** A quick look at the target that a witness took, or its newest result of the same test. */
export const witnessCheckSchema = z.object({
  result_id: z.string().nullable(),
  type: z.string(),
  at: timestamp,
  status: z.enum(STATUSES),
  error: failureSchema.nullable(),
  /** Whether this result says that the target fails. */
  opinion: z.enum(OPINIONS),
  /** The type's first headline, milliseconds; null when not measured. */
  latency_ms: z.number().nullable(),
});
export type WitnessCheck = z.infer<typeof witnessCheckSchema>;

/** What another client saw. Who it is, where its packets go and what it was told are null for people who may not see its site. */
export const siblingSchema = z.object({
  client_id: z.string().nullable(),
  name: z.string().nullable(),
  site: z.string().nullable(),
  same_site: z.boolean(),
  runs_test: z.boolean(),
  /** `answered`, `silent` (nothing came in time), `busy` (asked too often), `away` (not connected), `pending`. */
  state: z.enum(["pending", "answered", "silent", "busy", "away"]),
  opinion: z.enum(OPINIONS),
  path: seenPathSchema.nullable(),
  /** Its newest result of the same test. */
  same_test: witnessCheckSchema.nullable(),
  /** What it measured for this event besides the path. */
  check: witnessCheckSchema.nullable(),
});
export type SiblingEvidence = z.infer<typeof siblingSchema>;

export const evidenceSchema = z.object({
  /** The result that made the event. */
  failure: z.object({
    result_id: z.string().nullable(),
    at: timestamp,
    type: z.string(),
    destination: z.string(),
    address: z.string().nullable(),
    status: z.enum(STATUSES),
    error: failureSchema.nullable(),
    loss_pct: z.number().nullable(),
  }),
  edge: edgeCheckSchema,
  /** The client's path at the time, null when it did not come; `path_state` says why. */
  path: seenPathSchema.nullable(),
  path_state: z.enum(["pending", "answered", "silent", "away", "not_applicable"]),
  last_good: seenPathSchema.nullable(),
  diff: pathDiffSchema.nullable(),
  siblings: z.array(siblingSchema),
  /** The event whose server check and siblings stand here too: it was about the same target, a moment earlier. */
  shared_from: z.string().nullable(),
});
export type Evidence = z.infer<typeof evidenceSchema>;

/** One event with what the witnesses saw. */
export const eventDetailSchema = eventSchema.extend({ evidence: evidenceSchema });
export type NetworkEventDetail = z.infer<typeof eventDetailSchema>;
