// Agent wire `/api/agent/v1`: bodies and frames in both directions. Times are UTC epoch milliseconds.
// Unknown fields are dropped, so that agents and edges of different versions live together.
import { z } from "zod";
import { consentFieldSchema } from "./consent.ts";
import { LIMITS } from "./limits.ts";
import { measurementSchema } from "./result.ts";

const seq = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const epochMs = z.number().int();

export const tagsSchema = z
  .record(
    z
      .string()
      .min(1)
      .max(LIMITS.tagKeyLength)
      .regex(/^[\p{L}\p{N}_.:/-]+$/u, "holds characters a tag cannot have"),
    z.string().max(LIMITS.tagValueLength),
  )
  .refine((tags) => Object.keys(tags).length <= LIMITS.tags, `has more than ${LIMITS.tags} tags`);
export type Tags = z.infer<typeof tagsSchema>;

export const nameSchema = z
  .string()
  .trim()
  .min(1, "is empty")
  .max(LIMITS.nameLength)
  .regex(/^[^\p{Cc}]*$/u, "holds control characters");
export const siteSchema = z
  .string()
  .trim()
  .max(LIMITS.siteLength)
  .regex(/^[^\p{Cc}]*$/u, "holds control characters");

/** Why an agent's state directory does not take what is measured; for people. */
export const OUTBOX_PROBLEMS = {
  disk_full: "the disk of its state directory is full",
  read_only: "the file system of its state directory is read-only",
  no_permission: "it may not write to its state directory",
  directory_gone: "its state directory was removed",
  disk_error: "the disk of its state directory does not work",
} as const;
export type OutboxProblem = keyof typeof OUTBOX_PROBLEMS;

/** What an agent found it can do: tool name to version or mode, e.g. `{ping: "iputils 20221126 raw"}`; null when missing. */
export const capabilitiesSchema = z.record(z.string().max(64), z.union([z.string().max(200), z.boolean(), z.null()]));
export type Capabilities = z.infer<typeof capabilitiesSchema>;

export const platformSchema = z.object({
  os: z.string().max(64),
  arch: z.string().max(32),
  release: z.string().max(128).default(""),
  hostname: z.string().max(255).default(""),
  node: z.string().max(32).default(""),
});
export type Platform = z.infer<typeof platformSchema>;

export const registerBodySchema = z.object({
  name: nameSchema,
  version: z.string().min(1).max(64),
  platform: z.union([
    platformSchema,
    z
      .string()
      .max(200)
      .transform((os): Platform => ({ os, arch: "", release: "", hostname: "", node: "" })),
  ]),
  /** Random id of this installation; never an address or a host name, which change. */
  install_id: z.string().min(8).max(128),
  capabilities: capabilitiesSchema.default({}),
  /** What this host's owner allows; null without a consent file, absent from an agent that does not tell. */
  consent: consentFieldSchema,
  site: siteSchema.optional(),
  tags: tagsSchema.optional(),
  /** The client token this installation held before: proof that it is the same client. */
  proof: z.string().max(512).optional(),
});
export type RegisterBody = z.infer<typeof registerBodySchema>;

/** Whether the runtime's time zone database knows the name. */
function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

export const scheduleWindowSchema = z.strictObject({
  days: z
    .array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
    .min(1)
    .max(7),
  from: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "must be HH:MM"),
  to: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, "must be HH:MM"),
  time_zone: z.string().min(1).max(64).refine(isTimeZone, "is not a time zone; use a name like Europe/Paris"),
});

export const scheduleSchema = z.strictObject({
  start_at: z.iso.datetime({ offset: true }).optional(),
  duration_s: z.number().int().min(1).max(31_536_000).optional(),
  windows: z.array(scheduleWindowSchema).max(14).optional(),
});
export type Schedule = z.infer<typeof scheduleSchema>;

/** On the agent wire: the edge may know fields and time zones that this agent does not; its other tests must run all the same. */
const instructedScheduleSchema = z.object({
  ...scheduleSchema.shape,
  windows: z
    .array(z.object({ ...scheduleWindowSchema.shape, time_zone: z.string().max(64) }))
    .max(14)
    .optional(),
});

export const instructedTestSchema = z.object({
  test_id: z.string(),
  type: z.string(),
  destination: z.string(),
  params: z.record(z.string(), z.unknown()),
  interval_s: z.number(),
  /** Seconds after the interval's start at which this agent runs, so that a fleet does not fire together. */
  offset_s: z.number(),
  schedule: instructedScheduleSchema.nullable(),
});
export type InstructedTest = z.infer<typeof instructedTestSchema>;

export const instructionSchema = z.object({
  revision: z.number().int(),
  tests: z.array(instructedTestSchema),
  /** Seconds between durable uploads when nobody watches. */
  upload_s: z.number(),
  /** Whether another client measures this one, at least by its address, so that the server has to know where it is. */
  aimed_at: z.boolean().optional(),
  /** Whether another client measures against this one, so that its reflector has to answer. */
  reflector: z.boolean().optional(),
});
export type Instruction = z.infer<typeof instructionSchema>;

export const registerReplySchema = z.object({
  client_id: z.string(),
  token: z.string(),
  last_seq: seq,
  instruction: instructionSchema,
  server_time: epochMs,
});
export type RegisterReply = z.infer<typeof registerReplySchema>;

/**
 * Outbox figures every greeting and upload may carry. `problem` is why the agent's disk does not take what is measured:
 * a word of OUTBOX_PROBLEMS (a newer agent may know others), null while all is well.
 */
export const outboxSchema = z.object({
  depth: z.number().int().min(0),
  dropped: z.number().int().min(0),
  problem: z.string().max(32).nullable().default(null),
});
export type OutboxFigures = z.infer<typeof outboxSchema>;

export const clockSchema = z.object({
  /** The agent's clock when it sent the frame. */
  now: epochMs,
  /** Agent clock minus edge clock as last estimated, ms; null before the first estimate. */
  offset_ms: z.number().nullable().default(null),
});

export const helloSchema = z.object({
  type: z.literal("hello"),
  version: z.string().max(64),
  /** Random id of this run of the agent process. */
  boot: z.string().min(1).max(64),
  outbox: outboxSchema.default({ depth: 0, dropped: 0, problem: null }),
  capabilities: capabilitiesSchema.default({}),
  /** What this host's owner allows; null without a consent file, absent from an agent that does not tell. */
  consent: consentFieldSchema,
  clock: clockSchema.optional(),
});
export type Hello = z.infer<typeof helloSchema>;

/** A closed range of sequence numbers. */
const rangeSchema = z.tuple([seq, seq]);

/**
 * Results and host samples `from`..`to` (inclusive). Items are checked one by one later, so that a bad one blocks nothing.
 * `dropped` names ranges that a full outbox gave up; every number in from..to is in an item or in such a range.
 */
export const uploadBodySchema = z
  .object({
    boot: z.string().min(1).max(64),
    from: seq.min(1),
    to: seq.min(1),
    results: z.array(z.unknown()).default([]),
    hosts: z.array(z.unknown()).default([]),
    dropped: z.array(rangeSchema).max(100).default([]),
    outbox: outboxSchema.optional(),
    clock: clockSchema.optional(),
  })
  .refine((body) => body.to >= body.from, { path: ["to"], message: "is before from" })
  .refine((body) => body.results.length + body.hosts.length <= LIMITS.uploadItems, {
    path: ["results"],
    message: `together with hosts holds more than ${LIMITS.uploadItems} items`,
  });
export type UploadBody = z.infer<typeof uploadBodySchema>;

export const uploadFrameSchema = z.intersection(z.object({ type: z.literal("upload") }), uploadBodySchema);

/** A live, unstored, unacknowledged copy of one item that is in the outbox as well. Exactly one of the two is given. */
export const sampleFrameSchema = z.object({
  type: z.literal("sample"),
  result: z.unknown().optional(),
  host: z.unknown().optional(),
});

export const progressFrameSchema = z.object({
  type: z.literal("progress"),
  run_id: z.string().max(64).nullable().default(null),
  test_id: z.string().max(64).nullable().default(null),
  state: z.enum(["started", "running", "finished"]),
  /** 0 to 1 where the probe can tell. */
  fraction: z.number().min(0).max(1).nullable().default(null),
  /** What is being measured just now, for people: `down, 8 streams: 47.2 Mbit/s`. */
  note: z.string().max(200).nullable().default(null),
});

/** Answer to `check`: this socket's agent is alive. */
export const hereFrameSchema = z.object({ type: z.literal("here"), nonce: z.string().max(64) });

/** Ack that the agent runs with this revision of its instruction. */
export const instructionAckFrameSchema = z.object({ type: z.literal("instruction_ack"), revision: z.number().int() });

/** The consent file changed while the socket was open. */
export const consentFrameSchema = z.object({ type: z.literal("consent"), consent: consentFieldSchema });

/** News of the outbox that no upload can carry: the disk takes nothing any more, or takes again, or more was lost. */
export const outboxFrameSchema = z.object({ type: z.literal("outbox"), outbox: outboxSchema });

/** What the agent found it can do, looked up again while the socket was open. */
export const capabilitiesFrameSchema = z.object({
  type: z.literal("capabilities"),
  version: z.string().max(64),
  capabilities: capabilitiesSchema,
});

/** Every frame an agent may send. The type is looked at first, so that an unknown one can be ignored rather than refused. */
export const AGENT_FRAMES = {
  hello: helloSchema,
  upload: uploadFrameSchema,
  sample: sampleFrameSchema,
  progress: progressFrameSchema,
  here: hereFrameSchema,
  instruction_ack: instructionAckFrameSchema,
  consent: consentFrameSchema,
  outbox: outboxFrameSchema,
  capabilities: capabilitiesFrameSchema,
} as const;

export const jobSchema = measurementSchema
  .pick({ type: true, destination: true })
  .extend({ params: z.record(z.string(), z.unknown()) });
export type Job = z.infer<typeof jobSchema>;

/** Every frame the edge may send to an agent. */
export const edgeFrameSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("welcome"), last_seq: seq, instruction: instructionSchema, server_time: epochMs }),
  z.object({ type: z.literal("ack"), to: seq }),
  z.object({ type: z.literal("need"), from: seq }),
  z.object({ type: z.literal("instruction"), revision: z.number().int() }),
  z.object({ type: z.literal("live"), until: epochMs }),
  z.object({ type: z.literal("run"), run_id: z.string(), test_id: z.string().optional(), job: jobSchema.optional() }),
  /** Asks "are you still there?" before a second connection with the same identity is let in. */
  z.object({ type: z.literal("check"), nonce: z.string() }),
]);
export type EdgeFrame = z.infer<typeof edgeFrameSchema>;

/** HTTPS fallback: what a heartbeat carries and answers. The reply is the welcome of an agent without a socket. */
export const heartbeatBodySchema = z.object({
  version: z.string().max(64).optional(),
  boot: z.string().min(1).max(64).optional(),
  outbox: outboxSchema.optional(),
  capabilities: capabilitiesSchema.optional(),
  /** What this host's owner allows; null without a consent file, absent from an agent that does not tell. */
  consent: consentFieldSchema,
  clock: clockSchema.optional(),
});
export type Heartbeat = z.infer<typeof heartbeatBodySchema>;
export const heartbeatReplySchema = z.object({
  last_seq: seq,
  revision: z.number().int(),
  server_time: epochMs,
  /** Live lease in force, epoch ms; 0 when nobody watches. */
  live_until: epochMs,
  runs: z.array(z.object({ run_id: z.string(), test_id: z.string().optional(), job: jobSchema.optional() })).default([]),
});
export type HeartbeatReply = z.infer<typeof heartbeatReplySchema>;

export const uploadReplySchema = z.union([z.object({ ack: seq }), z.object({ need: seq })]);
