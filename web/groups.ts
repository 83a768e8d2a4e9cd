// Metrics in the groups people look for them in. The first pattern that fits decides.

const GROUPS: readonly (readonly [string, RegExp])[] = [
  ["Round trip", /^(ping_rtt_|path_rtt_)/],
  ["Loss", /^(ping_(sent|received|dup|out_of_order|late|loss_|burst_)|path_loss_)/],
  ["Delay variation", /^ping_(ipdv|pdv|jitter)/],
  ["Run", /^ping_/],
  ["TCP fallback", /^tcp_ping_/],
  ["UDP round trip", /^udp_rtt_/],
  ["UDP loss", /^udp_(sent|received|late|invalid|loss_|lost_|burst_|gap_)/],
  ["UDP order and copies", /^udp_(dup|reorder)/],
  ["UDP delay variation", /^udp_(jitter|ipdv|pdv)/],
  ["Clocks and one-way delay", /^(udp_owd|udp_clock|clock_offset)/],
  ["UDP stream", /^udp_/],
  ["Throughput", /^bw_(down|up|single|streams|ramp)/],
  ["Latency under load", /^(rtt_idle|rtt_loaded|bloat_|rpm_|bw_loss_under_load)/],
  ["Bandwidth run", /^bw_/],
  ["Call quality", /^voip_(mos|r_)/],
  ["Voice packets", /^voip_(sent|received|loss|late|effective|burst)/],
  ["Voice delay", /^voip_(jitter|rtt|one_way|buffer)/],
  ["Voice model", /^voip_/],
  ["SIP", /^sip_/],
  ["Traffic class (DSCP)", /^qos_/],
  ["Congestion bits (ECN)", /^ecn_/],
  ["MTU", /^(path_mtu|pmtu_)/],
  ["Hops", /^path_(hop_count|first_silent|ecmp_width|loop_detected|asn)/],
  ["Path", /^path_/],
  // Host metrics about TCP, before those of the TCP test.
  [
    "Sockets",
    /^(tcp_(established|time_wait|opens_sec|accepts_sec|failed_sec)$|host_(tcp|listen|udp)_|sockets_|conntrack|softnet)/,
  ],
  ["Connect", /^tcp_(connect|attempts|failed|error|port)/],
  ["Kernel's view of the connection", /^tcp_/],
  ["DNS query", /^dns_(query|connect|os|sent|received|server|transport|fastest|v4|v6)/],
  ["DNS answer", /^dns_/],
  ["TLS", /^tls_/],
  ["Certificate", /^cert_/],
  ["HTTP phases", /^http_(total|dns|tcp|tls|ttfb|request|download|redirects|reuse_ttfb)(_ms)$/],
  ["HTTP response", /^http_/],
  ["Processor", /^(cpu_|psi_cpu)/],
  ["Memory", /^(memory_|swap_|oom_|psi_mem)/],
  ["Disks", /^(fs_|disk_|psi_io)/],
  ["Network interface", /^if_/],
  ["Wi-Fi", /^wifi_/],
  ["System", /^(uptime_s|process_|thread_|open_files|ntp_|reboot_|containers_)/],
  ["Hardware", /^(fan_|power_|battery_|on_ac$|edac_|smart_|nvme_|drive_)/],
  ["What the agent reaches", /^(self_|agent_cut_off)/],
  ["Agent", /^agent_/],
];
const REST = "Other";

export interface MetricGroup {
  readonly title: string;
  readonly names: string[];
}

/** Groups in their fixed order, names in the order given; empty groups are left out. */
export function groupMetrics(names: readonly string[]): MetricGroup[] {
  const groups = new Map<string, string[]>([...GROUPS.map(([title]) => [title, []] as [string, string[]]), [REST, []]]);
  for (const name of names) {
    const title = GROUPS.find(([, pattern]) => pattern.test(name))?.[0] ?? REST;
    groups.get(title)?.push(name);
  }
  return [...groups].filter(([, members]) => members.length > 0).map(([title, members]) => ({ title, names: members }));
}
