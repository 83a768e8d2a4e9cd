// Results as agents send them, with every figure a panel shows: an uneven UDP path, a full line, a call, a path that rewrites.
import type { WireResult } from "#contract/result";

type Sent = Pick<WireResult, "metrics" | "detail"> & Partial<WireResult>;

const PER_SECOND = [50, 50, 50, 50, 50];

export const UDP: Sent = {
  metrics: {
    udp_sent: 250,
    udp_received: 229,
    udp_loss_pct: 8.4,
    udp_loss_up_pct: 1.2,
    udp_loss_down_pct: 7.29,
    udp_lost_up: 3,
    udp_lost_down: 18,
    udp_rtt_min: 23.9,
    udp_rtt_median: 24.4,
    udp_rtt_p95: 29.1,
    udp_rtt_max: 61.2,
    udp_jitter_rfc3550_up: 3.41,
    udp_jitter_rfc3550_down: 0.22,
    udp_pdv_p95_up: 9.1,
    udp_pdv_p95_down: 0.8,
    udp_owd_up_ms: null,
    udp_owd_down_ms: null,
    udp_clock_synced: false,
    clock_offset_est_ms: 147.07,
    clock_offset_err_ms: 12.1,
  },
  reasons: { udp_owd_up_ms: "not_applicable", udp_owd_down_ms: "not_applicable" },
  detail: {
    series: {
      step_s: 1,
      sent: PER_SECOND,
      received: [50, 48, 50, 31, 50],
      lost_up: [0, 2, 0, 1, 0],
      lost_down: [0, 0, 0, 18, 0],
      rtt_median: [24.2, 24.4, 24.3, 31, 24.2],
      rtt_max: [26, 28, 27, 61.2, 26],
    },
  },
};

export const BANDWIDTH: Sent = {
  metrics: {
    bw_down_mbps: 47.8,
    bw_up_mbps: 9.56,
    bw_single_down_mbps: 8.9,
    bw_single_up_mbps: 9.5,
    rtt_idle_ms: 20.7,
    rtt_loaded_down_p95: 520,
    rtt_loaded_up_p95: 131,
    bloat_down_ms: 499,
    bloat_up_ms: 110,
    bloat_grade: "F",
    rpm_down: 113,
    rpm_up: 540,
    bw_bytes: 88_100_000,
    bw_budget_left_bytes: 18_400_000_000,
    bw_streams: 8,
    bw_limited_by: "network",
    bw_tcp_cc: "cubic",
  },
  detail: {
    phases: [
      { direction: "down", connections: 8, slices_mbps: [9, 22, 40, 47.7, 47.8, 47.9, 47.8], warm_up_slices: 3, ended: "steady" },
      { direction: "down", connections: 1, slices_mbps: [2, 5, 8.7, 9, 8.8, 9.1], warm_up_slices: 2, ended: "time" },
      { direction: "up", connections: 8, slices_mbps: [3, 9.4, 9.6, 9.5], warm_up_slices: 1, ended: "budget" },
    ],
  },
};

export const VOIP: Sent = {
  metrics: {
    voip_mos_est: 3.852,
    voip_r_factor: 75.5,
    voip_mos_up: 4.33,
    voip_mos_down: 3.852,
    voip_r_up: 88.9,
    voip_r_down: 75.5,
    voip_loss_up_pct: 0.8,
    voip_loss_down_pct: 4.4,
    voip_late_up_pct: 0.4,
    voip_late_down_pct: 1.2,
    voip_effective_loss_up_pct: 1.2,
    voip_effective_loss_down_pct: 5.6,
    voip_burst_ratio_up: 1,
    voip_burst_ratio_down: 1.1,
    voip_rtt_median: 61,
    voip_one_way_delay_est_ms: 92,
    voip_codec: "g711",
    voip_model: "ITU-T G.107 (06/2015)",
  },
  detail: {
    codec: { label: "G.711 with loss concealment", ie: 0, bpl: 25.1, packet_ms: 20, provisional: false },
    up: { mouth_to_ear_ms: 74 },
    down: { mouth_to_ear_ms: 92 },
  },
};

export const QOS: Sent = {
  metrics: {
    qos_rtt_spread_ms: 11.2,
    qos_loss_worst_pct: 15,
    qos_worst_class: "CS1",
    qos_dscp_sent: 46,
    qos_bleached_at_hop: 3,
    qos_dscp_after: 0,
    qos_preserved: false,
    qos_hops_checked: 3,
    ecn_capable: false,
    ecn_blocked: true,
  },
  detail: {
    hops: [
      { ttl: 1, addr: "192.0.2.1", dscp: 46, ecn: 2, quotes: 3, protocol: "udp" },
      { ttl: 2, addr: null, dscp: null, ecn: null, quotes: 0, protocol: null },
      { ttl: 3, addr: "192.0.2.3", dscp: 0, ecn: 2, quotes: 2, protocol: "udp" },
    ],
    dscp_change: { after_hop: 1, at_hop: 3, to: 0, quotes: 2 },
    ecn_change: null,
    classes: [
      { dscp: 0, name: "BE", sent: 20, received: 20, loss_pct: 0, rtt_min: 20.1, rtt_median: 20.6, rtt_max: 24 },
      { dscp: 8, name: "CS1", sent: 20, received: 17, loss_pct: 15, rtt_min: 21, rtt_median: 31.8, rtt_max: 60 },
    ],
  },
};

/** What a hostile or strange agent may send in the places of the above. */
export const STRANGE = (text: string): readonly Record<string, unknown>[] => [
  { series: text, phases: text, classes: text, hops: text, codec: text, up: text, down: text, peer: text, dscp_change: text },
  {
    series: { sent: [1, text, null, {}], lost_up: text, rtt_max: [1e308, -5, text] },
    phases: [null, { direction: text }, { direction: "up", connections: text, slices_mbps: [text, -1] }],
    classes: [null, { dscp: 99 }, { dscp: 1, sent: text, rtt_median: {} }],
    hops: [{ ttl: 1, addr: text, dscp: 1e308, ecn: text }],
    codec: { ie: -1, bpl: 0 },
    up: { mouth_to_ear_ms: text },
    peer: { client_id: {}, name: text },
  },
  {
    series: { sent: new Array(400).fill(1), rtt_median: new Array(400).fill(1e308), rtt_max: [1e-300] },
    phases: [{ direction: "down", connections: 1e308, slices_mbps: new Array(400).fill(1), warm_up_slices: 1e9, ended: text }],
    classes: [{ dscp: 5, sent: -1, received: 1e308, rtt_min: 9, rtt_median: -9, rtt_max: 0, loss_pct: 1e9 }],
    hops: [{ ttl: 2, addr: text.repeat(20), dscp: -1, ecn: 77 }],
    dscp_change: { at_hop: 2 },
    codec: { label: text, ie: 95, bpl: 1000, provisional: "x" },
    down: { mouth_to_ear_ms: 60_000 },
  },
];

export const STRANGE_METRICS = (text: string) =>
  ({
    udp: {
      udp_loss_up_pct: -4,
      udp_loss_down_pct: 1e308,
      udp_rtt_median: 0,
      clock_offset_est_ms: -1e308,
      udp_clock_synced: true,
    },
    bandwidth: {
      bw_down_mbps: 1e308,
      bw_up_mbps: -1,
      bloat_grade: text,
      bw_limited_by: "constructor",
      bw_tcp_cc: text,
      bw_bytes: -1,
    },
    voip: { voip_mos_est: 1e308, voip_r_factor: -1e9, voip_r_down: 1e308, voip_codec: "__proto__", voip_model: text },
    qos: { qos_dscp_sent: 1e308, qos_bleached_at_hop: -3, qos_dscp_after: 64, qos_worst_class: text, ecn_capable: true },
  }) as const;
