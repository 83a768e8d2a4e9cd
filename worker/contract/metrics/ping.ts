// Ping: ICMP echo, round trip.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("ping");

export const PING_METRICS = {
  ping_sent: number("Echo requests sent", "count", "neither", "RFC 6673"),
  ping_received: number("Echo replies received", "count", "higher", "RFC 6673"),
  ping_dup: number("Duplicate replies", "count", "lower", "RFC 5560"),
  ping_out_of_order: number("Replies out of order", "count", "lower", "RFC 4737"),
  ping_late: number("Replies after the time-out", "count", "lower", "RFC 6673"),
  ping_loss_pct: number("Packet loss", "%", "lower", "RFC 6673"),
  ping_loss_ci_low: number("Packet loss, 95 % interval, low end", "%", "lower", "Wilson 1927"),
  ping_loss_ci_high: number("Packet loss, 95 % interval, high end", "%", "lower", "Wilson 1927"),
  ping_rtt_min: number("Round trip, minimum", "ms", "lower", "RFC 2681"),
  ping_rtt_median: number("Round trip, median", "ms", "lower", "RFC 2681"),
  ping_rtt_mean: number("Round trip, mean", "ms", "lower", "RFC 2681"),
  ping_rtt_p95: number("Round trip, 95th percentile", "ms", "lower", "RFC 2681"),
  ping_rtt_p99: number("Round trip, 99th percentile", "ms", "lower", "RFC 2681"),
  ping_rtt_max: number("Round trip, maximum", "ms", "lower", "RFC 2681"),
  ping_rtt_stddev: number("Round trip, standard deviation", "ms", "lower", "RFC 2681"),
  ping_ipdv_mean: number("Delay variation between neighbours, mean", "ms", "lower", "RFC 3393"),
  ping_ipdv_p95: number("Delay variation between neighbours, 95th percentile", "ms", "lower", "RFC 3393"),
  ping_pdv_p95: number("Delay variation over the minimum, 95th percentile", "ms", "lower", "RFC 5481"),
  ping_jitter_rfc3550: number("Jitter", "ms", "lower", "RFC 3550 6.4.1"),
  ping_loss_burst_max: number("Longest loss burst", "count", "lower", "RFC 3357"),
  ping_loss_burst_mean: number("Mean loss burst", "count", "lower", "RFC 3357"),
  ping_loss_runs: number("Loss bursts", "count", "lower", "RFC 3357"),
  ping_burst_ratio: number("Burst ratio", "ratio", "lower", "ITU-T G.107"),
  ping_damaged: number("Damaged replies", "count", "lower", "RFC 6673"),
  ping_truncated: number("Truncated replies", "count", "lower", "RFC 6673"),
  ping_ttl: number("Reply TTL", "count", "neither", "RFC 791"),
  ping_ttl_changed: flag("Reply TTL changed during the run: another way back", "neither", "RFC 791"),
  ping_icmp_error: word("ICMP error", "RFC 792"),
  ping_size: number("Payload size", "bytes", "neither"),
  ping_dscp: number("DSCP sent", "", "neither", "RFC 2474"),
  ping_family: number("IP version", "", "neither"),
  ping_method: word("Method"),
  // Where ICMP is not permitted or ping is missing: TCP handshakes in its place. A host's TCP may answer later than its kernel
  // answers an echo and take another path, so these never stand for the ICMP figures above.
  tcp_ping_port: number("TCP fallback, port", "", "neither", "RFC 9293"),
  tcp_ping_sent: number("TCP fallback, connections tried", "count", "neither", "RFC 9293"),
  tcp_ping_received: number("TCP fallback, connections accepted or refused", "count", "higher", "RFC 9293"),
  tcp_ping_loss_pct: number("TCP fallback, connections without an answer", "%", "lower", "RFC 9293"),
  tcp_ping_min: number("TCP fallback round trip, minimum", "ms", "lower", "RFC 9293"),
  tcp_ping_median: number("TCP fallback round trip, median", "ms", "lower", "RFC 9293"),
  tcp_ping_p95: number("TCP fallback round trip, 95th percentile", "ms", "lower", "RFC 9293"),
  tcp_ping_max: number("TCP fallback round trip, maximum", "ms", "lower", "RFC 9293"),
} as const;
