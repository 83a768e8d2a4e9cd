// The web API `/api/v1` as the dashboard and scripts see it. Times are RFC 3339 UTC strings. Requests refuse unknown fields.
import { z } from "zod";
import { consentReportSchema } from "./consent.ts";
import { eventSchema } from "./events.ts";
import { LIMITS } from "./limits.ts";
import { hostReadingSchema, resultSchema } from "./result.ts";
import { TEST_TYPE_NAMES } from "./test-types/index.ts";
import { capabilitiesSchema, nameSchema, platformSchema, scheduleSchema, siteSchema, tagsSchema } from "./wire.ts";

const timestamp = z.iso.datetime();
const nullableTime = timestamp.nullable();
const metricMap = z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()]));

/** A page of a list; `next_cursor` is null on the last page. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}

// People

export const ROLES = ["viewer", "user", "admin"] as const;
export type Role = (typeof ROLES)[number];

export const usernameSchema = z
  .string()
  .trim()
  .min(LIMITS.username.min, "is empty")
  .max(LIMITS.username.max)
  .regex(/^[\p{L}\p{N}._@+-]+$/u, "may hold letters, digits and . _ @ + -");
export const passwordSchema = z
  .string()
  .min(LIMITS.password.min, `must be at least ${LIMITS.password.min} characters`)
  .max(LIMITS.password.max);

export const signInSchema = z.strictObject({
  username: z.string().min(1).max(200),
  password: z.string().min(1).max(1000),
  totp: z.string().max(16).optional(),
});
export const setupSchema = z.strictObject({
  code: z.string().min(1).max(200),
  username: usernameSchema,
  password: passwordSchema,
});

/** `sites` null means all sites. */
export const sessionUserSchema = z.object({
  id: z.string(),
  username: z.string(),
  role: z.enum(ROLES),
  sites: z.array(z.string()).nullable(),
});
export type SessionUser = z.infer<typeof sessionUserSchema>;
/** `bypass` is true when sign-in is switched off (AUTH_BYPASS); every page then shows a banner. */
export const sessionSchema = z.object({ user: sessionUserSchema, bypass: z.boolean() });
export type Session = z.infer<typeof sessionSchema>;
/** GET setup: whether the first account still has to be made. */
export const setupStateSchema = z.object({ needed: z.boolean() });

export const userSchema = sessionUserSchema.extend({ disabled: z.boolean(), created_at: timestamp, last_login_at: nullableTime });
export type User = z.infer<typeof userSchema>;
export const createUserSchema = z.strictObject({
  username: usernameSchema,
  password: passwordSchema,
  role: z.enum(ROLES),
  sites: z.array(siteSchema).max(200).nullable().default(null),
});
export const patchUserSchema = z
  .strictObject({
    password: passwordSchema,
    role: z.enum(ROLES),
    sites: z.array(siteSchema).max(200).nullable(),
    disabled: z.boolean(),
  })
  .partial();

// Clients

export const CLIENT_STATUSES = ["online", "testing", "offline", "never_seen", "pending", "retired"] as const;
export type ClientStatus = (typeof CLIENT_STATUSES)[number];

/** How the network sees the client; every part null where it is not known (as on a local edge). */
export const edgeViewSchema = z.object({
  ip: z.string().nullable(),
  colo: z.string().nullable(),
  asn: z.number().nullable(),
  country: z.string().nullable(),
});

const outboxViewSchema = z.object({ depth: z.number(), dropped: z.number(), problem: z.string().nullable().default(null) });

export const clientSchema = z.object({
  id: z.string(),
  name: z.string(),
  site: z.string(),
  tags: tagsSchema,
  status: z.enum(CLIENT_STATUSES),
  /** `connected`, `closed` (said goodbye or the line dropped), `silent` (nothing heard), `stopped` (shut down cleanly), `registered`, … */
  status_reason: z.string(),
  status_since: timestamp,
  last_seen_at: nullableTime,
  version: z.string(),
  platform: platformSchema,
  capabilities: capabilitiesSchema,
  edge: edgeViewSchema.nullable(),
  /**
   * `depth` results wait on the agent, `dropped` were lost there because its disk space ran out. `problem`, while it lasts, is
   * why its disk takes nothing: a word of OUTBOX_PROBLEMS (wire.ts) with its meaning there; one not listed is shown as it is.
   */
  outbox: outboxViewSchema,
  created_at: timestamp,
});
export type Client = z.infer<typeof clientSchema>;

/** An uploaded item the edge could not accept: kept aside, shown, never blocking. */
export const rejectedItemSchema = z.object({
  seq: z.number().nullable(),
  received_at: timestamp,
  reason: z.string(),
  excerpt: z.string(),
});
export type RejectedItem = z.infer<typeof rejectedItemSchema>;

/** One client with what only its own object knows. */
export const clientDetailSchema = clientSchema.extend({
  last_seq: z.number(),
  rejected: z.object({ count: z.number(), recent: z.array(rejectedItemSchema) }),
  /** Fields and metrics that were dropped because this edge does not know them: its agent is newer. */
  ignored: z.number(),
  /** Agent clock minus edge clock, ms; null when not known. */
  clock_offset_ms: z.number().nullable(),
  /** What the host's owner allows (its consent file); null when there is no such file or its agent does not tell. */
  consent: consentReportSchema.nullable(),
  /** Newest result of every test of this client, and the newest host sample. */
  latest: z.array(resultSchema),
  host: hostReadingSchema.nullable(),
  tests: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      type: z.string(),
      destination: z.string(),
      interval_s: z.number(),
      enabled: z.boolean(),
    }),
  ),
});
export type ClientDetail = z.infer<typeof clientDetailSchema>;

/**
 * Every sequence number a client's store accounts for: 1..last_seq is results, host samples, items kept aside and ranges that
 * the agent dropped. Nothing is `missing` and nothing stands twice.
 */
export const ledgerSchema = z.object({
  last_seq: z.number(),
  results: z.number(),
  hosts: z.number(),
  rejected: z.number(),
  dropped: z.number(),
  missing: z.array(z.tuple([z.number(), z.number()])),
  duplicates: z.number(),
});
export type Ledger = z.infer<typeof ledgerSchema>;

export const patchClientSchema = z
  .strictObject({ name: nameSchema, site: siteSchema, tags: tagsSchema, status: z.enum(["retired"]) })
  .partial();

// Tests

/** Which clients run a test, future ones included. Every part given must match; `all` matches every client. */
export const selectorSchema = z
  .strictObject({ site: siteSchema.optional(), tags: tagsSchema.optional(), all: z.boolean().optional() })
  .refine(
    (selector) => selector.all === true || selector.site !== undefined || selector.tags !== undefined,
    "names no client; give site, tags or all",
  );
export type Selector = z.infer<typeof selectorSchema>;

const thresholdsSchema = z.record(z.string().max(64), z.number());
const clientIdsSchema = z.array(z.string().min(1).max(64)).max(LIMITS.clientIdsPerTest);
const intervalSchema = z.number().int().min(LIMITS.intervalMinS).max(LIMITS.intervalMaxS);
const packetSizeSchema = z.number().int().min(LIMITS.packetSizeMin).max(LIMITS.packetSizeMax);

export const createTestSchema = z.strictObject({
  name: nameSchema,
  type: z.enum(TEST_TYPE_NAMES),
  destination: z.string().trim().min(1, "is empty; give a host name or an IP address").max(LIMITS.destinationLength),
  interval_s: intervalSchema.optional(),
  packet_size: packetSizeSchema.optional(),
  /** The type's own parameters; checked against its schema in the registry. */
  params: z.record(z.string(), z.unknown()).default({}),
  schedule: scheduleSchema.nullable().default(null),
  enabled: z.boolean().default(true),
  client_ids: clientIdsSchema.default([]),
  selector: selectorSchema.nullable().default(null),
  thresholds: thresholdsSchema.default({}),
});
export type CreateTest = z.input<typeof createTestSchema>;

export const patchTestSchema = z
  .strictObject({
    name: nameSchema,
    destination: z.string().trim().min(1).max(LIMITS.destinationLength),
    interval_s: intervalSchema,
    packet_size: packetSizeSchema,
    params: z.record(z.string(), z.unknown()),
    schedule: scheduleSchema.nullable(),
    enabled: z.boolean(),
    client_ids: clientIdsSchema,
    selector: selectorSchema.nullable(),
    thresholds: thresholdsSchema,
  })
  .partial();

export const testSchema = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  destination: z.string(),
  interval_s: z.number(),
  packet_size: z.number().nullable(),
  params: z.record(z.string(), z.unknown()),
  schedule: scheduleSchema.nullable(),
  enabled: z.boolean(),
  /** Clients named one by one. */
  client_ids: z.array(z.string()),
  selector: selectorSchema.nullable(),
  thresholds: thresholdsSchema,
  created_at: timestamp,
  updated_at: timestamp,
});
export type Test = z.infer<typeof testSchema>;

/** One test with every client that runs it now, by name or by selector, and that client's newest result. */
export const testDetailSchema = testSchema.extend({
  clients: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      site: z.string(),
      status: z.enum(CLIENT_STATUSES),
      /** The newest result; where the test names clients as destination, the worst of the newest ones of its peers. */
      latest: resultSchema.nullable(),
      /** What this client measures against where the test names clients as destination, else empty. */
      peers: z.array(z.object({ peer_id: z.string(), name: z.string(), latest: resultSchema.nullable() })),
      /** Clients of the mesh that this one does not measure against, because a client measures at most `LIMITS.meshPeers`. */
      peers_left_out: z.number(),
    }),
  ),
});
export type TestDetail = z.infer<typeof testDetailSchema>;

export const assignSchema = z.strictObject({ client_ids: clientIdsSchema });
export const runReplySchema = z.object({ run_id: z.string() });

// Results and series

export const seriesSchema = z.object({
  resolution_s: z.number(),
  series: z.array(
    z.object({
      client_id: z.string(),
      /** null for host metrics. */
      test_id: z.string().nullable(),
      /** The client measured against, where the test names clients as destination. */
      peer_id: z.string().nullable(),
      metric: z.string(),
      unit: z.string(),
      /** Bucket starts, epoch milliseconds; a bucket without data is absent. */
      t: z.array(z.number()),
      count: z.array(z.number()),
      /** null where the bucket's results carry no value (all lost). */
      min: z.array(z.number().nullable()),
      median: z.array(z.number().nullable()),
      p95: z.array(z.number().nullable()),
      max: z.array(z.number().nullable()),
      /** Lost over sent of all results in the bucket; null where nothing was sent. */
      loss_pct: z.array(z.number().nullable()).optional(),
    }),
  ),
  /** Buckets in which the measuring host explains what was measured: a flag of ./flags.ts, by test (null for host samples). */
  marks: z
    .array(
      z.object({
        client_id: z.string(),
        test_id: z.string().nullable(),
        peer_id: z.string().nullable(),
        flag: z.string(),
        /** Bucket starts, epoch milliseconds. */
        t: z.array(z.number()),
      }),
    )
    .default([]),
});
export type SeriesReply = z.infer<typeof seriesSchema>;

export const metricSchema = z.object({
  name: z.string(),
  label: z.string(),
  unit: z.string(),
  kind: z.enum(["number", "boolean", "string"]),
  better: z.enum(["lower", "higher", "neither"]),
  source: z.string(),
  reference: z.string().optional(),
});

// Fleet

/** One line of the fleet table. `spark` holds the newest headline latencies, oldest first; null is a run without an answer. */
export const fleetClientSchema = z.object({
  id: z.string(),
  name: z.string(),
  site: z.string(),
  tags: tagsSchema,
  status: z.enum(CLIENT_STATUSES),
  status_reason: z.string(),
  status_since: timestamp,
  last_seen_at: nullableTime,
  /** When the newest result or host sample was measured. */
  measured_at: nullableTime,
  /** Worst current latency and loss over the client's tests, and the host's headline figures; absent means not known. */
  headline: metricMap,
  /** Tests whose newest result found the target failing. */
  failing: z.number(),
  /** Tests whose newest run was not measured here: the client was cut off, too busy or not allowed to. Neither fine nor failing. */
  unmeasured: z.number().default(0),
  spark: z.array(z.number().nullable()).max(LIMITS.sparkPoints),
});
export type FleetClient = z.infer<typeof fleetClientSchema>;
export const fleetSchema = z.object({ generated_at: timestamp, clients: z.array(fleetClientSchema) });
export type Fleet = z.infer<typeof fleetSchema>;

// Tokens, settings, audit

export const TOKEN_KINDS = ["enrolment", "api"] as const;
export const createTokenSchema = z.strictObject({
  kind: z.enum(TOKEN_KINDS),
  name: nameSchema,
  expires_at: z.iso.datetime({ offset: true }).nullable().default(null),
  /** Enrolment: how many clients may register with it; null is unlimited. */
  max_uses: z.number().int().min(1).max(1_000_000).nullable().default(null),
  site: siteSchema.nullable().default(null),
  tags: tagsSchema.default({}),
  scopes: z
    .array(z.enum(["read", "write"]))
    .min(1)
    .default(["read", "write"]),
});
export const tokenSchema = z.object({
  id: z.string(),
  kind: z.enum(TOKEN_KINDS),
  name: z.string(),
  user_id: z.string().nullable(),
  expires_at: nullableTime,
  max_uses: z.number().nullable(),
  uses: z.number(),
  site: z.string().nullable(),
  tags: tagsSchema,
  scopes: z.array(z.string()),
  created_at: timestamp,
  last_used_at: nullableTime,
  revoked_at: nullableTime,
});
export type Token = z.infer<typeof tokenSchema>;
/** Answer to creating one: the only time the secret is shown. */
export const createdTokenSchema = tokenSchema.extend({ secret: z.string() });
export type CreatedToken = z.infer<typeof createdTokenSchema>;

export const configSchema = z.object({ upload_s: z.number(), raw_retention_days: z.number() });
export const patchConfigSchema = z
  .strictObject({ upload_s: z.number().int().min(10).max(3600), raw_retention_days: z.number().int().min(1).max(365) })
  .partial();

export const auditEntrySchema = z.object({
  id: z.number(),
  at: timestamp,
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  detail: z.record(z.string(), z.unknown()),
  ip: z.string().nullable(),
});

// Live sockets: `clients/{id}/live` and `fleet/live`. A browser sends the text `ping` every 30 s and gets `pong`.

export const liveFrameSchema = z.discriminatedUnion("type", [
  /** First frame of a client's socket. */
  z.object({
    type: z.literal("snapshot"),
    client: clientDetailSchema.omit({ tests: true }).optional(),
    clients: z.array(fleetClientSchema).optional(),
  }),
  z.object({
    type: z.literal("status"),
    client_id: z.string(),
    status: z.enum(CLIENT_STATUSES),
    status_reason: z.string(),
    status_since: timestamp,
    last_seen_at: nullableTime,
    /** On the client's own socket, when the agent told news of it; then it replaces what was known. */
    outbox: outboxViewSchema.optional(),
    /** On the fleet socket: the client's whole line, so that a new client appears at once. */
    client: fleetClientSchema.optional(),
  }),
  /** A result or a host sample, stored or still on its way; the same `id` or `seq` may come twice. */
  z.object({
    type: z.literal("result"),
    client_id: z.string(),
    result: resultSchema.optional(),
    host: hostReadingSchema.optional(),
  }),
  /** Fleet socket: a client's line changed. */
  z.object({ type: z.literal("summary"), client: fleetClientSchema }),
  z.object({ type: z.literal("instruction_ack"), client_id: z.string(), revision: z.number() }),
  z.object({
    type: z.literal("progress"),
    client_id: z.string(),
    run_id: z.string().nullable(),
    test_id: z.string().nullable(),
    /** The client measured against, where the test names clients as destination. */
    peer_id: z.string().nullable(),
    state: z.enum(["started", "running", "finished"]),
    fraction: z.number().nullable(),
    note: z.string().nullable(),
  }),
  /** An event of this client opened, was completed by its witnesses, or closed. */
  z.object({ type: z.literal("event"), client_id: z.string(), event: eventSchema }),
  z.object({ type: z.literal("gone"), client_id: z.string() }),
]);
export type LiveFrame = z.infer<typeof liveFrameSchema>;
