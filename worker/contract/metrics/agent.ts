// The agent itself.
import { familyOf } from "./define.ts";

const { number } = familyOf("agent");

export const AGENT_METRICS = {
  agent_uptime_s: number("Agent uptime", "s", "neither"),
  agent_rss_bytes: number("Agent memory", "bytes", "lower"),
  agent_cpu_pct: number("Agent CPU with its children", "%", "lower"),
  agent_loop_delay_p99_ms: number("Agent event loop delay, 99th percentile", "ms", "lower"),
  agent_queue_depth: number("Results waiting for upload", "count", "lower"),
  agent_results_dropped: number("Results dropped from a full outbox", "count", "lower"),
  agent_upload_failures: number("Failed uploads", "count", "lower"),
  agent_tests_run: number("Tests run", "count", "neither"),
  agent_tests_failed: number("Tests failed", "count", "lower"),
  agent_tests_skipped: number("Tests skipped", "count", "lower"),
  agent_clock_offset_ms: number("Clock offset to the edge", "ms", "lower"),
} as const;
