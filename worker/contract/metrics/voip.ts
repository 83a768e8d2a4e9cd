// Voice over IP: a stream like a call's, judged by the E-model. MOS are estimates (MOS-CQE of ITU-T P.800.1), never opinions.
import { familyOf } from "./define.ts";

const { number, word } = familyOf("voip");

const MOS = "ITU-T G.107 Annex B, P.800.1 MOS-CQE";

export const VOIP_METRICS = {
  voip_mos_est: number("Estimated MOS, the worse direction", "MOS", "higher", MOS),
  voip_r_factor: number("R factor, the worse direction", "", "higher", "ITU-T G.107"),
  voip_mos_up: number("Estimated MOS of what the far end hears", "MOS", "higher", MOS),
  voip_mos_down: number("Estimated MOS of what is heard here", "MOS", "higher", MOS),
  voip_r_up: number("R factor, up", "", "higher", "ITU-T G.107"),
  voip_r_down: number("R factor, down", "", "higher", "ITU-T G.107"),
  voip_sent: number("Voice packets sent", "count", "neither", "RFC 3550"),
  voip_received: number("Voice packets that came back in time", "count", "higher", "RFC 3550"),
  voip_loss_up_pct: number("Packets lost in the network, up", "%", "lower", "RFC 3611 4.7.1"),
  voip_loss_down_pct: number("Packets lost in the network, down", "%", "lower", "RFC 3611 4.7.1"),
  voip_late_up_pct: number("Packets too late to be played, up", "%", "lower", "RFC 3611 4.7.1"),
  voip_late_down_pct: number("Packets too late to be played, down", "%", "lower", "RFC 3611 4.7.1"),
  voip_effective_loss_up_pct: number("Packets not played, up", "%", "lower", "ITU-T G.107 7.5"),
  voip_effective_loss_down_pct: number("Packets not played, down", "%", "lower", "ITU-T G.107 7.5"),
  voip_burst_ratio_up: number("Burst ratio of packets not played, up", "ratio", "lower", "ITU-T G.107 7.5"),
  voip_burst_ratio_down: number("Burst ratio of packets not played, down", "ratio", "lower", "ITU-T G.107 7.5"),
  voip_jitter_up: number("Jitter, up", "ms", "lower", "RFC 3550 6.4.1"),
  voip_jitter_down: number("Jitter, down", "ms", "lower", "RFC 3550 6.4.1"),
  voip_rtt_median: number("Round trip, median", "ms", "lower", "RFC 2681"),
  voip_one_way_delay_est_ms: number("Mouth-to-ear delay, half the round trip assumed each way", "ms", "lower", "ITU-T G.114"),
  voip_buffer_ms: number("Playout buffer, the worse direction", "ms", "lower", "RFC 3611 4.7.7"),
  voip_codec: word("Codec assumed", "ITU-T G.113 Appendix I"),
  voip_model: word("Model"),
  sip_options_rtt: number("SIP OPTIONS round trip", "ms", "lower", "RFC 3261 11"),
  sip_status: number("SIP status code", "", "neither", "RFC 3261 21"),
} as const;
