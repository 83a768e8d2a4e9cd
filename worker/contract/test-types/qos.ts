import { z } from "zod";
import { checkHost, ipVersion } from "../destination.ts";
import { dscpList } from "../dscp.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, overrun, type Traffic } from "./define.ts";
import { ipVersionField, timeoutField } from "./fields.ts";
import { inOneSecond, ipBytes, markTraffic } from "./traffic.ts";

/** Classes compared in one run. */
const CLASSES = { least: 2, most: 8 } as const;
/** Longest time for the path and for the handshakes, for any time-out: so many answers that do not come, and so much beside. Seconds. */
const PATH_S = { silences: 8, beside: 6 } as const;
/** For finding the address, and for ending the tools, seconds. */
const AROUND_S = 3;

const qosParams = z.strictObject({
  dscp: z.number().int().min(0).max(63).default(46).describe("DSCP whose way along the path is followed"),
  port: z.number().int().min(1).max(65_535).default(443).describe("TCP port whose handshakes tell of ECN"),
  classes: z
    .string()
    .max(100)
    .default("0,46,34,8")
    .describe("DSCPs whose round trips are compared, as numbers or names: 0,46 or BE,EF,AF41,CS1"),
  count: z.number().int().min(1).max(300).default(20).describe("Echo requests for each class"),
  interval: z.number().min(0.2).max(60).default(0.2).describe("Seconds between two requests of a class"),
  timeout: timeoutField(2, 5, "Seconds to wait for each answer"),
  max_hops: z.number().int().min(1).max(64).default(30).describe("Hops to look for at most"),
  ip_version: ipVersionField,
});
export type QosParams = z.output<typeof qosParams>;

/** Code points of the classes, in the order given. */
export const qosClasses = ({ classes }: Pick<QosParams, "classes">): number[] => dscpList(classes) ?? [];

function checkClasses(text: string): FieldError[] {
  const values = dscpList(text);
  const wrong = (message: string): FieldError[] => [{ path: "params.classes", message }];
  if (values === undefined) return wrong("is no list of DSCPs; write numbers from 0 to 63 or names, as 0,46,34 or BE,EF,AF41");
  if (values.length < CLASSES.least || values.length > CLASSES.most) {
    return wrong(`names ${values.length}, but ${CLASSES.least} to ${CLASSES.most} classes can be compared`);
  }
  return new Set(values).size === values.length ? [] : wrong("names a class twice");
}

function checkQos(destination: string, params: QosParams, interval_s?: number): FieldError[] {
  const host = checkHost(destination);
  if (!host.ok) return [{ path: "destination", message: host.message }];
  return [
    ...familyMismatch(ipVersion(host.host), params.ip_version),
    ...checkClasses(params.classes),
    ...overrun("requests", params.count, params.interval, interval_s),
  ];
}

/** Time for the path, and for the handshakes beside it, seconds. */
export const qosPathSeconds = ({ timeout }: Pick<QosParams, "timeout">): number => PATH_S.silences * timeout + PATH_S.beside;

/** Echo requests' ICMP message, bytes; handshakes with and without ECN at most, and how many begin within a second. */
const ECHO_BYTES = 72;
const SYNS = { most: 20, per_s: 14, bytes: 4 * 80 } as const;

function traffic(params: QosParams): Traffic {
  const classes = qosClasses(params).length;
  const marks = markTraffic(params.max_hops);
  return {
    packets_per_s: Math.ceil(classes * inOneSecond(params.count, params.interval)) + SYNS.per_s + marks.packets_per_s,
    bytes: 2 * classes * params.count * ipBytes(ECHO_BYTES) + SYNS.most * SYNS.bytes + marks.bytes,
  };
}

export const qos = defineTestType({
  type: "qos",
  label: "QoS",
  summary: "Whether the traffic class (DSCP) and ECN survive the path, and whether classes fare differently",
  destination: { hint: "A host name or an IP address, without scheme, port or path.", example: "crm.example or 192.0.2.10" },
  params: qosParams,
  metrics: metricsOf("qos"),
  headline: ["qos_rtt_spread_ms", "qos_bleached_at_hop", "qos_loss_worst_pct", "qos_preserved"],
  default_interval_s: 300,
  peer: "address",
  check: checkQos,
  contacts: (destination) => hostContact(checkHost(destination)),
  traffic,
  deadline_ms: (params) =>
    (Math.max((params.count - 1) * params.interval + params.timeout + 1, qosPathSeconds(params)) + AROUND_S) * 1000,
});
