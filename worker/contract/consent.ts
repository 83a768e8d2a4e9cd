// What a host's owner allows, as the consent file says it and as the agent tells its server. The server can show it, never
// change it.
import { z } from "zod";

const rule = z.string().min(1).max(300);

export const consentSchema = z
  .strictObject({
    /** Test types that may run; without it, all. */
    types: z.array(z.string().min(1).max(32)).max(64),
    /** Address blocks, addresses, names and suffixes (*.example.com) that may be contacted; without it, all. */
    destinations: z.array(rule).max(500),
    /** As `destinations`, but never; stronger than what is allowed. */
    forbidden_destinations: z.array(rule).max(500),
    /** Seconds between two runs of one test. */
    min_interval_s: z.number().min(0).max(86_400),
    /** Packets or requests a second that all runs together may send. */
    max_packets_per_s: z.number().positive().max(1e6),
    /** Bytes one run may move, both directions together. */
    max_bytes_per_run: z.number().int().positive(),
    /** Bytes all runs of a day (UTC) may move together. */
    max_bytes_per_day: z.number().int().positive(),
    /** Whether other agents may measure against this host's reflector. */
    reflector: z.boolean(),
    /** Whether the agent may look whether gateway, resolvers and server answer. */
    self_test: z.boolean(),
  })
  .partial();
export type Consent = z.infer<typeof consentSchema>;

/** Most rules of one list that are told: a greeting has to stay small. */
export const CONSENT_RULES_TOLD = 100;

/** On the agent wire: a newer agent may allow and forbid more than this edge knows. Only a part of long lists is told. */
export const consentReportSchema = z
  .object({
    ...consentSchema.shape,
    destinations: consentSchema.shape.destinations.unwrap().max(CONSENT_RULES_TOLD).optional(),
    forbidden_destinations: consentSchema.shape.forbidden_destinations.unwrap().max(CONSENT_RULES_TOLD).optional(),
    /** Rules of long lists that are in force and not told here. */
    rules_untold: z.number().int().min(1).max(10_000),
    /** What is wrong with a newer state of the file; these rules are the ones before it, which stay in force. */
    problem: z.string().max(1000),
  })
  .partial();
export type ConsentReport = z.infer<typeof consentReportSchema>;

/** Stands for a report that cannot be read: it is dropped and counted, and the greeting that brought it stays good. */
export const UNREADABLE = "unreadable";

/** A greeting's report: null without a consent file, absent from an agent that does not tell. */
export const consentFieldSchema = z
  .union([consentReportSchema, z.null(), z.literal(UNREADABLE)])
  .optional()
  .catch(UNREADABLE);
