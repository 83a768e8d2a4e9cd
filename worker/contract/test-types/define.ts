import type { z } from "zod";
import type { MetricName, MetricValue } from "../metrics.ts";
import type { FieldError } from "../problem.ts";

/** What a type's destination is, for forms and help. */
export interface DestinationHelp {
  /** One sentence: what may stand there. */
  readonly hint: string;
  /** An example from the ranges kept for documentation (RFC 2606, RFC 5737). */
  readonly example: string;
}

/** What one run costs the network at most, other hosts' unasked packets and names looked up apart. */
export interface Traffic {
  /**
   * In its busiest second: packets sent by types that send packets of their own, connections and requests by those that speak
   * TCP. Infinite where the line decides.
   */
  readonly packets_per_s: number;
  /** Of IP packets, both directions together. */
  readonly bytes: number;
}

/**
 * A test type: what it takes, what it may yield. Adding one is a file beside this, one line in index.ts,
 * a probe in agent/probes with its line there, and (if the default panel does not fit) a panel in web/panels.
 */
export interface TestType<Name extends string = string, Params extends z.ZodObject = z.ZodObject> {
  readonly type: Name;
  readonly label: string;
  /** One sentence for people choosing a test. */
  readonly summary: string;
  readonly destination: DestinationHelp;
  /** Every parameter with its default; `packet_size` is asked beside the others in the web API. */
  readonly params: Params;
  readonly metrics: readonly MetricName[];
  /** Shown first: in tables, headlines and default charts. The first is the latency-like one. */
  readonly headline: readonly MetricName[];
  readonly default_interval_s: number;
  /** Rules that need destination and parameters together. `interval_s` is absent for a single run. */
  check(destination: string, params: z.output<Params>, interval_s?: number): FieldError[];
  /** Every host a run will speak to on purpose, as the grammar writes it; the consent file decides on each. */
  contacts(destination: string, params: z.output<Params>): string[];
  /** Names a run asks others about without speaking to their hosts; what the consent file says of a name holds for them too. */
  asks?(destination: string, params: z.output<Params>): string[];
  /** The most one run may cost, for the consent file's limits. Without it, a host with such limits refuses the type. */
  traffic?(params: z.output<Params>, interval_s?: number): Traffic;
  /** Bytes a finished run moved, both directions, where its own metrics tell; else what was planned counts. */
  moved?(params: z.output<Params>, metrics: Partial<Record<MetricName, MetricValue>>): number | undefined;
  /**
   * Whether another client may stand as the destination (`client:<id>`, `mesh`): by its `address` alone, or by its
   * `reflector`, as `address:port`. Absent: it may not.
   */
  readonly peer?: "address" | "reflector";
  /** Longest time one run may take, milliseconds. */
  deadline_ms(params: z.output<Params>): number;
}

export function defineTestType<const Name extends string, Params extends z.ZodObject>(
  definition: TestType<Name, Params>,
): TestType<Name, Params> {
  return definition;
}

/** The `ip_version` a literal destination contradicts, as a field error; empty when there is none. */
export function familyMismatch(literal: 0 | 4 | 6, wanted: 4 | 6 | undefined): FieldError[] {
  if (literal === 0 || wanted === undefined || literal === wanted) return [];
  return [{ path: "params.ip_version", message: `is ${wanted}, but the destination is an IPv${literal} address` }];
}

/**
 * How many packets so far apart start within a time, seconds. Rounded before the floor: 1 / 0.2 must be 5, whatever binary
 * fractions make of it.
 */
export const fitting = (room_s: number, interval: number): number => Math.floor(Math.round((room_s / interval) * 1e6) / 1e6);

/** A count that does not fit between two runs, as a field error; empty when it fits or nothing repeats the run. Seconds. */
export function overrun(what: string, count: number, interval: number, interval_s: number | undefined): FieldError[] {
  const busy = (count - 1) * interval;
  if (interval_s === undefined || busy < interval_s) return [];
  const message = `${count} ${what} ${interval} s apart take ${busy.toFixed(1)} s, longer than the interval of ${interval_s} s`;
  return [{ path: "params.count", message }];
}

/** The host of a destination that is a bare host, for `contacts`. */
export const hostContact = (checked: { ok: true; host: string } | { ok: false }): string[] => (checked.ok ? [checked.host] : []);
