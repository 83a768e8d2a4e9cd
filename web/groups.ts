// Metrics in the groups people look for them in.

const GROUPS: readonly (readonly [string, RegExp])[] = [
  ["Round trip", /^ping_rtt_/],
  ["Loss", /^ping_(sent|received|dup|out_of_order|late|loss_|burst_)/],
  ["Delay variation", /^ping_(ipdv|pdv|jitter)/],
  ["Run", /^ping_/],
  ["Processor", /^(cpu_|psi_cpu)/],
  ["Memory", /^(memory_|swap_|psi_mem)/],
  ["Disks", /^(fs_|disk_|psi_io)/],
  ["Network interface", /^if_/],
  ["Sockets and processes", /^(tcp_|host_tcp|process_|open_files|conntrack|softnet|uptime)/],
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
