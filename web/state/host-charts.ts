// The charts of a client's host and agent: what each shows, and which are open before anybody chose.
import type { MetricName, MetricValue } from "#contract/metrics";

export interface HostChart {
  /** Remembered by this word, so it stays what it is. */
  readonly key: string;
  readonly title: string;
  readonly metrics: readonly MetricName[];
  /** Of each metric's line, in its legend. */
  readonly words: readonly string[];
  /** Ends of the axis, where they are not 0 and the highest value. */
  readonly min?: number;
  readonly max?: number;
  /** Open before anybody chose: what most often explains a slow network. */
  readonly first?: boolean;
}

export const HOST_CHARTS: readonly HostChart[] = [
  {
    key: "cpu",
    title: "Processor",
    metrics: ["cpu_percent", "cpu_core_max_pct", "cpu_iowait_pct", "cpu_steal_pct"],
    words: ["busy", "busiest core", "waiting for disks", "taken by the hypervisor"],
    first: true,
  },
  { key: "memory", title: "Memory", metrics: ["memory_percent"], words: ["in use"], first: true },
  {
    key: "rates",
    title: "Interface rates",
    metrics: ["if_rx_bytes_sec", "if_tx_bytes_sec"],
    words: ["receiving", "sending"],
    first: true,
  },
  {
    key: "errors",
    title: "Interface errors and drops",
    metrics: ["if_rx_errors_sec", "if_tx_errors_sec", "if_rx_drops_sec", "if_tx_drops_sec"],
    words: ["receive errors", "send errors", "receive drops", "send drops"],
    first: true,
  },
  {
    key: "pressure",
    title: "Pressure: time tasks waited",
    metrics: ["psi_cpu_some_10", "psi_mem_some_10", "psi_io_some_10"],
    words: ["for the processor", "for memory", "for disks"],
  },
  { key: "load", title: "Load", metrics: ["cpu_load_1min", "cpu_load_15min"], words: ["1 min", "15 min"] },
  { key: "swap", title: "Swap in use", metrics: ["swap_used"], words: ["in use"] },
  { key: "swapping", title: "Swapping", metrics: ["swap_in_bytes_sec", "swap_out_bytes_sec"], words: ["read back", "written"] },
  { key: "space", title: "Disk space", metrics: ["fs_used_pct", "fs_inodes_used_pct"], words: ["space", "inodes"] },
  {
    key: "disk",
    title: "Disk reads and writes",
    metrics: ["disk_read_bytes_sec", "disk_write_bytes_sec"],
    words: ["reading", "writing"],
  },
  {
    key: "await",
    title: "Disk response",
    metrics: ["disk_read_await_ms", "disk_write_await_ms"],
    words: ["a read takes", "a write takes"],
  },
  { key: "busy", title: "Disk busy", metrics: ["disk_io_util"], words: ["busiest device"] },
  { key: "link", title: "Link in use", metrics: ["if_util_pct"], words: ["busier direction"] },
  { key: "retransmits", title: "TCP sent again", metrics: ["host_tcp_retrans_pct"], words: ["of all segments"] },
  { key: "temperature", title: "Temperature", metrics: ["cpu_temperature", "disk_temperature"], words: ["processor", "drive"] },
  { key: "wifi", title: "Wi-Fi signal", metrics: ["wifi_rssi_dbm"], words: ["signal"], min: -95, max: -25 },
];

export const AGENT_CHARTS: readonly HostChart[] = [
  { key: "gateway", title: "Round trip to the gateway", metrics: ["self_gateway_rtt_ms"], words: ["round trip"], first: true },
  {
    key: "self-test",
    title: "Resolver and server",
    metrics: ["self_resolver_ms", "self_edge_ms"],
    words: ["resolver", "server"],
    first: true,
  },
  { key: "agent-cpu", title: "Agent: processor", metrics: ["agent_cpu_pct"], words: ["of one core"] },
  {
    key: "agent-memory",
    title: "Agent: memory",
    metrics: ["agent_rss_bytes", "agent_heap_used_bytes"],
    words: ["resident", "heap"],
  },
  {
    key: "agent-late",
    title: "Agent: how late it is",
    metrics: ["agent_loop_delay_p99_ms", "agent_schedule_lag_p95_ms"],
    words: ["event loop, p99", "tests begun, p95"],
  },
  {
    key: "outbox",
    title: "Agent: results waiting",
    metrics: ["agent_queue_depth", "agent_results_dropped"],
    words: ["waiting", "dropped"],
  },
  { key: "cut-off", title: "Reached nothing", metrics: ["agent_cut_off_s"], words: ["of each sample"] },
];

/** Whether a host measures anything a chart shows; before its first sample, nothing is ruled out. */
export const isMeasured = ({ metrics }: HostChart, newest: Readonly<Record<string, MetricValue>> | undefined): boolean =>
  newest === undefined || metrics.some((metric) => typeof newest[metric] === "number");
