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
    /** Packets or requests a second that one run may send. */
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

/** On the agent wire: a newer agent may allow and forbid more than this edge knows. Only a part of long lists is told. */
export const consentReportSchema = z.object(consentSchema.shape).partial();
