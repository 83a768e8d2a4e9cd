// The metric catalogue: every number, flag or word a measurement may carry, once.
// Adding a metric is one entry here plus the probe line that measures it.

/** Where a lower or a higher value is the better one; `neither` for facts. */
export type Direction = "lower" | "higher" | "neither";

/** Units as shown to people. `1/s` rates and bytes follow RFC 2863 counters; times are milliseconds unless the unit says otherwise. */
export type Unit = "ms" | "s" | "%" | "bytes" | "bytes/s" | "Mbit/s" | "MHz" | "°C" | "count" | "1/s" | "ratio" | "";

export interface MetricDefinition {
  readonly label: string;
  readonly unit: Unit;
  readonly kind: "number" | "boolean" | "string";
  readonly better: Direction;
  /** Test type that yields it, `host` for the host sample, `agent` for the agent's own health. */
  readonly source: "ping" | "host" | "agent";
  /** RFC, ITU or kernel document that defines the quantity. */
  readonly reference?: string;
}

type Source = MetricDefinition["source"];

function number(source: Source, label: string, unit: Unit, better: Direction, reference?: string) {
  return { source, label, unit, kind: "number", better, ...(reference ? { reference } : {}) } as const;
}

function word(source: Source, label: string, reference?: string) {
  return { source, label, unit: "", kind: "string", better: "neither", ...(reference ? { reference } : {}) } as const;
}

export const METRICS = {
  // Ping: ICMP echo, round trip
  ping_sent: number("ping", "Echo requests sent", "count", "neither", "RFC 6673"),
  ping_received: number("ping", "Echo replies received", "count", "higher", "RFC 6673"),
  ping_dup: number("ping", "Duplicate replies", "count", "lower", "RFC 5560"),
  ping_out_of_order: number("ping", "Replies out of order", "count", "lower", "RFC 4737"),
  ping_late: number("ping", "Replies after the time-out", "count", "lower", "RFC 6673"),
  ping_loss_pct: number("ping", "Packet loss", "%", "lower", "RFC 6673"),
  ping_loss_ci_low: number("ping", "Packet loss, 95 % interval, low end", "%", "lower", "Wilson 1927"),
  ping_loss_ci_high: number("ping", "Packet loss, 95 % interval, high end", "%", "lower", "Wilson 1927"),
  ping_rtt_min: number("ping", "Round trip, minimum", "ms", "lower", "RFC 2681"),
  ping_rtt_median: number("ping", "Round trip, median", "ms", "lower", "RFC 2681"),
  ping_rtt_mean: number("ping", "Round trip, mean", "ms", "lower", "RFC 2681"),
  ping_rtt_p95: number("ping", "Round trip, 95th percentile", "ms", "lower", "RFC 2681"),
  ping_rtt_p99: number("ping", "Round trip, 99th percentile", "ms", "lower", "RFC 2681"),
  ping_rtt_max: number("ping", "Round trip, maximum", "ms", "lower", "RFC 2681"),
  ping_rtt_stddev: number("ping", "Round trip, standard deviation", "ms", "lower", "RFC 2681"),
  ping_ipdv_mean: number("ping", "Delay variation between neighbours, mean", "ms", "lower", "RFC 3393"),
  ping_ipdv_p95: number("ping", "Delay variation between neighbours, 95th percentile", "ms", "lower", "RFC 3393"),
  ping_pdv_p95: number("ping", "Delay variation over the minimum, 95th percentile", "ms", "lower", "RFC 5481"),
  ping_jitter_rfc3550: number("ping", "Jitter", "ms", "lower", "RFC 3550 6.4.1"),
  ping_loss_burst_max: number("ping", "Longest loss burst", "count", "lower", "RFC 3357"),
  ping_loss_burst_mean: number("ping", "Mean loss burst", "count", "lower", "RFC 3357"),
  ping_loss_runs: number("ping", "Loss bursts", "count", "lower", "RFC 3357"),
  ping_burst_ratio: number("ping", "Burst ratio", "ratio", "lower", "ITU-T G.107"),
  ping_ttl: number("ping", "Reply TTL", "count", "neither", "RFC 791"),
  ping_icmp_error: word("ping", "ICMP error", "RFC 792"),
  ping_size: number("ping", "Payload size", "bytes", "neither"),
  ping_dscp: number("ping", "DSCP sent", "", "neither", "RFC 2474"),
  ping_family: number("ping", "IP version", "", "neither"),
  ping_method: word("ping", "Method"),

  // Host: processor
  cpu_percent: number("host", "CPU busy", "%", "lower", "proc_stat(5)"),
  cpu_user_pct: number("host", "CPU in user code", "%", "lower", "proc_stat(5)"),
  cpu_system_pct: number("host", "CPU in the kernel", "%", "lower", "proc_stat(5)"),
  cpu_iowait_pct: number("host", "CPU waiting for disks", "%", "lower", "proc_stat(5)"),
  cpu_steal_pct: number("host", "CPU taken by the hypervisor", "%", "lower", "proc_stat(5)"),
  cpu_load_1min: number("host", "Load, 1 min", "", "lower", "proc_loadavg(5)"),
  cpu_load_5min: number("host", "Load, 5 min", "", "lower", "proc_loadavg(5)"),
  cpu_load_15min: number("host", "Load, 15 min", "", "lower", "proc_loadavg(5)"),
  cpu_cores: number("host", "Logical processors", "count", "neither"),
  cpu_freq_current: number("host", "CPU frequency, mean", "MHz", "neither"),
  cpu_context_switches: number("host", "Context switches", "1/s", "neither", "proc_stat(5)"),
  cpu_interrupts: number("host", "Interrupts", "1/s", "neither", "proc_stat(5)"),
  cpu_temperature: number("host", "CPU temperature", "°C", "lower"),
  psi_cpu_some_10: number("host", "CPU pressure, 10 s", "%", "lower", "kernel psi"),
  psi_io_some_10: number("host", "Disk pressure, 10 s", "%", "lower", "kernel psi"),
  psi_mem_some_10: number("host", "Memory pressure, 10 s", "%", "lower", "kernel psi"),
  // Host: memory
  memory_percent: number("host", "Memory in use", "%", "lower", "proc_meminfo(5)"),
  memory_used: number("host", "Memory in use", "bytes", "lower", "proc_meminfo(5)"),
  memory_total: number("host", "Memory", "bytes", "neither", "proc_meminfo(5)"),
  memory_available: number("host", "Memory available", "bytes", "higher", "proc_meminfo(5)"),
  memory_cached: number("host", "Memory in caches", "bytes", "neither", "proc_meminfo(5)"),
  memory_buffers: number("host", "Memory in buffers", "bytes", "neither", "proc_meminfo(5)"),
  swap_total: number("host", "Swap", "bytes", "neither", "proc_meminfo(5)"),
  swap_used: number("host", "Swap in use", "bytes", "lower", "proc_meminfo(5)"),
  // Host: disks
  fs_used_pct: number("host", "Disk space in use, fullest file system", "%", "lower"),
  fs_used_bytes: number("host", "Disk space in use, fullest file system", "bytes", "lower"),
  fs_total_bytes: number("host", "Disk space, fullest file system", "bytes", "neither"),
  fs_inodes_used_pct: number("host", "Inodes in use, fullest file system", "%", "lower"),
  disk_read_iops: number("host", "Disk reads", "1/s", "neither", "kernel iostats"),
  disk_write_iops: number("host", "Disk writes", "1/s", "neither", "kernel iostats"),
  disk_read_bytes_sec: number("host", "Disk read rate", "bytes/s", "neither", "kernel iostats"),
  disk_write_bytes_sec: number("host", "Disk write rate", "bytes/s", "neither", "kernel iostats"),
  disk_io_util: number("host", "Disk busy, busiest device", "%", "lower", "kernel iostats"),
  // Host: primary network interface
  if_rx_bytes: number("host", "Bytes received", "bytes", "neither", "RFC 2863"),
  if_tx_bytes: number("host", "Bytes sent", "bytes", "neither", "RFC 2863"),
  if_rx_bytes_sec: number("host", "Receive rate", "bytes/s", "neither", "RFC 2863"),
  if_tx_bytes_sec: number("host", "Send rate", "bytes/s", "neither", "RFC 2863"),
  if_rx_packets: number("host", "Packets received", "count", "neither", "RFC 2863"),
  if_tx_packets: number("host", "Packets sent", "count", "neither", "RFC 2863"),
  if_rx_errors: number("host", "Receive errors", "count", "lower", "RFC 2863"),
  if_tx_errors: number("host", "Send errors", "count", "lower", "RFC 2863"),
  if_rx_drops: number("host", "Receive drops", "count", "lower", "RFC 2863"),
  if_tx_drops: number("host", "Send drops", "count", "lower", "RFC 2863"),
  if_speed_mbps: number("host", "Link speed", "Mbit/s", "higher", "RFC 2863"),
  if_mtu: number("host", "Interface MTU", "bytes", "neither"),
  // Host: sockets, processes, time
  tcp_established: number("host", "TCP connections established", "count", "neither", "RFC 4022"),
  tcp_time_wait: number("host", "TCP connections in TIME-WAIT", "count", "neither", "RFC 9293"),
  host_tcp_retrans_pct: number("host", "TCP segments retransmitted", "%", "lower", "RFC 4022"),
  process_count: number("host", "Processes", "count", "neither"),
  open_files: number("host", "Open files", "count", "neither"),
  uptime_s: number("host", "Uptime", "s", "neither"),
  conntrack_used_pct: number("host", "Connection tracking in use", "%", "lower"),
  softnet_dropped: number("host", "Packets dropped by a full backlog", "count", "lower"),

  // The agent itself
  agent_uptime_s: number("agent", "Agent uptime", "s", "neither"),
  agent_rss_bytes: number("agent", "Agent memory", "bytes", "lower"),
  agent_cpu_pct: number("agent", "Agent CPU with its children", "%", "lower"),
  agent_loop_delay_p99_ms: number("agent", "Agent event loop delay, 99th percentile", "ms", "lower"),
  agent_queue_depth: number("agent", "Results waiting for upload", "count", "lower"),
  agent_results_dropped: number("agent", "Results dropped from a full outbox", "count", "lower"),
  agent_upload_failures: number("agent", "Failed uploads", "count", "lower"),
  agent_tests_run: number("agent", "Tests run", "count", "neither"),
  agent_tests_failed: number("agent", "Tests failed", "count", "lower"),
  agent_tests_skipped: number("agent", "Tests skipped", "count", "lower"),
  agent_clock_offset_ms: number("agent", "Clock offset to the edge", "ms", "lower"),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** Definition by name, for code that meets names at run time. */
export const metricDefinition = (name: MetricName): MetricDefinition => METRICS[name];

export const METRIC_NAMES = Object.keys(METRICS) as MetricName[];

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(METRICS, name);
}

/** Names of one source, in catalogue order. */
export function metricsOf(source: Source): MetricName[] {
  return METRIC_NAMES.filter((name) => METRICS[name].source === source);
}

export type MetricValue = number | string | boolean | null;

/** Why a metric is null. */
export const REASONS = [
  "unsupported",
  "no_permission",
  "tool_missing",
  "timeout",
  "dns_fail",
  "no_route",
  "refused",
  "not_applicable",
  "too_few_samples",
  "host_overloaded",
] as const;
export type Reason = (typeof REASONS)[number];
