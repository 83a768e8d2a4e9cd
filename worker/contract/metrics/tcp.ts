// TCP: the handshake and what the kernel knows of the connection (Linux: struct tcp_info, read by ss).
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("tcp");

export const TCP_METRICS = {
  tcp_connect_ms: number("TCP handshake, median", "ms", "lower", "RFC 9293"),
  tcp_connect_min: number("TCP handshake, minimum", "ms", "lower", "RFC 9293"),
  tcp_connect_p95: number("TCP handshake, 95th percentile", "ms", "lower", "RFC 9293"),
  tcp_connect_max: number("TCP handshake, maximum", "ms", "lower", "RFC 9293"),
  tcp_attempts: number("Connects tried", "count", "neither"),
  tcp_connected: number("Connects established", "count", "higher", "RFC 9293"),
  tcp_failed_pct: number("Connects failed", "%", "lower"),
  tcp_error: word("Connect error", "errno(3)"),
  tcp_port: number("Port", "", "neither"),
  // The connection that carried the data; without data, the handshake that was fastest.
  tcp_min_rtt_ms: number("Kernel round trip, minimum", "ms", "lower", "Linux tcp_info"),
  tcp_srtt_ms: number("Kernel round trip, smoothed", "ms", "lower", "RFC 6298"),
  tcp_rttvar_ms: number("Kernel round trip, variation", "ms", "lower", "RFC 6298"),
  tcp_rto_ms: number("Retransmission time-out", "ms", "lower", "RFC 6298"),
  tcp_mss: number("Segment size", "bytes", "higher", "RFC 6691"),
  tcp_pmtu: number("Path MTU the kernel uses", "bytes", "higher", "RFC 1191"),
  tcp_cwnd_last: number("Congestion window, last", "count", "higher", "RFC 5681"),
  tcp_cwnd_max: number("Congestion window, largest seen", "count", "higher", "RFC 5681"),
  tcp_ssthresh: number("Slow-start threshold", "count", "higher", "RFC 5681"),
  tcp_delivery_rate_bps: number("Delivery rate, last", "bit/s", "higher", "Linux tcp_info"),
  tcp_retrans_segs: number("Segments retransmitted, SYNs too", "count", "lower", "RFC 4898"),
  tcp_retrans_pct: number("Data segments retransmitted", "%", "lower", "RFC 4898"),
  tcp_lost: number("Segments held for lost, most at once", "count", "lower", "RFC 6675"),
  tcp_dsack_dups: number("Segments the peer got twice", "count", "lower", "RFC 2883"),
  tcp_reordering_seen: number("Reorderings seen", "count", "lower", "RFC 4737"),
  tcp_syn_retrans: number("SYNs retransmitted", "count", "lower", "RFC 9293"),
  tcp_cc: word("Congestion control"),
  tcp_busy_pct: number("Time with data to send", "%", "neither", "Linux tcp_info"),
  tcp_rwnd_limited_pct: number("Time the receiver's window held the sender back", "%", "lower", "Linux tcp_info"),
  tcp_sndbuf_limited_pct: number("Time the send buffer held the sender back", "%", "lower", "Linux tcp_info"),
  /** network, receiver, sender_buffer or application. */
  tcp_limited_by: word("What held the sender back"),
  tcp_ecn: flag("ECN negotiated", "higher", "RFC 3168"),
  tcp_wscale: flag("Window scaling negotiated", "higher", "RFC 7323"),
  tcp_snd_wnd: number("Window the peer offers", "bytes", "higher", "RFC 9293"),
  tcp_rcv_space: number("Receive space offered to the peer", "bytes", "higher", "Linux tcp_info"),
} as const;
