// QoS: what the network does with the traffic class (DSCP) and the congestion bits (ECN) of packets.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("qos");

export const QOS_METRICS = {
  qos_rtt_spread_ms: number("Round trip, slowest class less quickest", "ms", "lower", "RFC 2681"),
  qos_loss_worst_pct: number("Loss of the class that loses most", "%", "lower", "RFC 6673"),
  qos_worst_class: word("Class treated worse than the others", "RFC 4594"),
  qos_dscp_sent: number("DSCP sent", "", "neither", "RFC 2474"),
  qos_bleached_at_hop: number("First hop that sees another DSCP", "count", "neither", "RFC 2474"),
  qos_dscp_after: number("DSCP it became", "", "neither", "RFC 2474"),
  qos_preserved: flag("DSCP preserved as far as seen", "higher", "RFC 2474"),
  qos_hops_checked: number("Hops whose arriving DSCP was seen", "count", "higher", "RFC 1812"),
  ecn_capable: flag("Target negotiates ECN", "higher", "RFC 3168"),
  ecn_blocked: flag("ECN handshakes blocked", "lower", "RFC 3168"),
  ecn_cleared_at_hop: number("First hop that sees the ECN bits cleared", "count", "neither", "RFC 3168"),
} as const;
