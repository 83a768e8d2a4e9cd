// Bandwidth and latency under load. Rates are what the receiver counted of the TCP payload, 10^6 bits a second.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("bandwidth");

const RPM = "draft-ietf-ippm-responsiveness-08";

export const BANDWIDTH_METRICS = {
  // p50 of the slices of 250 ms after the warm-up; "single" is one connection, the others are bw_streams of them.
  bw_down_mbps: number("Download", "Mbit/s", "higher", "RFC 6349"),
  bw_up_mbps: number("Upload", "Mbit/s", "higher", "RFC 6349"),
  bw_single_down_mbps: number("Download, one connection", "Mbit/s", "higher", "RFC 6349"),
  bw_single_up_mbps: number("Upload, one connection", "Mbit/s", "higher", "RFC 6349"),
  bw_down_mean_mbps: number("Download, mean after the warm-up", "Mbit/s", "higher"),
  bw_up_mean_mbps: number("Upload, mean after the warm-up", "Mbit/s", "higher"),
  rtt_idle_ms: number("Round trip, idle", "ms", "lower", "RFC 9293"),
  rtt_loaded_down_p50: number("Round trip during the download, median", "ms", "lower", "RFC 9293"),
  rtt_loaded_down_p95: number("Round trip during the download, 95th percentile", "ms", "lower", "RFC 9293"),
  rtt_loaded_up_p50: number("Round trip during the upload, median", "ms", "lower", "RFC 9293"),
  rtt_loaded_up_p95: number("Round trip during the upload, 95th percentile", "ms", "lower", "RFC 9293"),
  // Loaded 95th percentile less idle median.
  bloat_down_ms: number("Bufferbloat, download", "ms", "lower"),
  bloat_up_ms: number("Bufferbloat, upload", "ms", "lower"),
  bloat_grade: word("Bufferbloat grade of the worse direction", "DSLReports, Bufferbloat Grades"),
  rpm_down: number("Responsiveness during the download", "RPM", "higher", RPM),
  rpm_up: number("Responsiveness during the upload", "RPM", "higher", RPM),
  bw_loss_under_load_pct: number("Handshakes under load that lost a packet", "%", "lower", "RFC 9293"),
  bw_bytes: number("Bytes both ways, probes included", "bytes", "neither"),
  bw_budget_left_bytes: number("Left of the month's byte budget", "bytes", "neither"),
  bw_duration_ms: number("Time the line was filled", "ms", "neither"),
  bw_streams: number("Connections at once", "count", "neither"),
  bw_ramp_ms: number("Until 90 % of the download rate", "ms", "lower"),
  /** network, host or budget. */
  bw_limited_by: word("What held the rate"),
  bw_early_stop: flag("Ended early since the rate was steady", "neither"),
  bw_tcp_cc: word("Congestion control of this host"),
  bw_retrans: number("Segments retransmitted in the upload", "count", "lower", "RFC 4898"),
} as const;
