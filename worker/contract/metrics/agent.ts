// The agent itself.
import { familyOf } from "./define.ts";

const { number } = familyOf("agent");

export const AGENT_METRICS = {
  agent_uptime_s: number("Agent uptime", "s", "neither"),
  agent_rss_bytes: number("Agent memory", "bytes", "lower"),
  agent_cpu_pct: number("Agent CPU with its children", "%", "lower"),
  agent_heap_used_bytes: number("Agent heap in use", "bytes", "lower"),
  agent_loop_delay_p99_ms: number("Agent event loop delay, 99th percentile", "ms", "lower"),
  agent_queue_depth: number("Results waiting for upload", "count", "lower"),
  agent_results_dropped: number("Results dropped from a full outbox", "count", "lower"),
  agent_upload_failures: number("Failed uploads", "count", "lower"),
  agent_tests_run: number("Tests run", "count", "neither"),
  agent_tests_failed: number("Tests failed", "count", "lower"),
  agent_tests_skipped: number("Tests skipped", "count", "lower"),
  agent_tests_refused: number("Tests this host's owner forbids", "count", "lower"),
  agent_children_running: number("Tools running", "count", "neither"),
  agent_spawn_ms_p95: number("Starting a tool, 95th percentile", "ms", "lower"),
  agent_schedule_lag_p95_ms: number("Tests begun late, 95th percentile", "ms", "lower"),
  agent_bytes_used_month: number("Bytes moved by bandwidth tests this month", "bytes", "lower"),
  agent_time_jumps: number("Clock steps and suspensions seen", "count", "lower"),
  agent_cut_off_s: number("Reached nothing", "s", "lower"),
  self_gateway_rtt_ms: number("Gateway round trip", "ms", "lower", "RFC 2681"),
  self_resolver_ms: number("Resolver's answer", "ms", "lower", "RFC 1035"),
  self_edge_ms: number("Connection to the server", "ms", "lower"),
  agent_clock_offset_ms: number("Clock offset to the edge", "ms", "lower"),
} as const;
