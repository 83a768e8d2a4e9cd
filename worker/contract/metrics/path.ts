// Path: the hops between here and the target, by flow.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("traceroute");

export const PATH_METRICS = {
  path_hop_count: number("Hops to the target", "count", "neither", "RFC 5388"),
  path_reached: flag("Target reached", "higher", "RFC 5388"),
  path_changed: flag("Path changed", "lower"),
  path_ecmp_width: number("Next hops at the widest point", "count", "neither", "RFC 2992"),
  path_flows: number("Distinct paths over all flows", "count", "neither", "RFC 2992"),
  path_hash: word("Path fingerprint"),
  path_loop_detected: flag("Routing loop", "lower"),
  path_first_silent_ttl: number("First silent hop", "count", "neither", "RFC 5388"),
  path_loss_pct: number("Loss at the target", "%", "lower", "RFC 6673"),
  path_rtt_min: number("Round trip to the target, minimum", "ms", "lower", "RFC 2681"),
  path_rtt_median: number("Round trip to the target, median", "ms", "lower", "RFC 2681"),
  path_rtt_p95: number("Round trip to the target, 95th percentile", "ms", "lower", "RFC 2681"),
  path_rtt_gateway_ms: number("Round trip to the first hop, median", "ms", "lower", "RFC 2681"),
  path_asn: word("AS path", "RFC 4271"),
  path_asn_count: number("Autonomous systems on the path", "count", "neither", "RFC 4271"),
  path_method: word("Probe protocol", "RFC 5388"),
} as const;
