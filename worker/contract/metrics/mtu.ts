// Path MTU: the largest packet that reaches the target whole.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("mtu");

export const MTU_METRICS = {
  path_mtu: number("Path MTU", "bytes", "higher", "RFC 8899"),
  path_mtu_method: word("How the path MTU was proven"),
  pmtu_blackhole: flag("Larger packets vanish without an ICMP message", "lower", "RFC 2923"),
  pmtu_limiting_hop: word("Router the limit is at, or behind"),
  pmtu_at_least: number("Largest packet proven to pass", "bytes", "higher", "RFC 8899"),
  pmtu_interface_mtu: number("MTU of the outgoing interface", "bytes", "neither"),
  pmtu_icmp_mtu: number("MTU routers claimed", "bytes", "neither", "RFC 1191, RFC 8201"),
  pmtu_probes: number("Probes sent", "count", "neither"),
  pmtu_loss_pct: number("Loss of small packets meanwhile", "%", "lower", "RFC 6673"),
  pmtu_rtt_median: number("Round trip of small packets meanwhile, median", "ms", "lower", "RFC 2681"),
} as const;
