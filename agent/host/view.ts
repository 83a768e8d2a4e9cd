// A host sample for people: groups of rows, the worst of each in colour.
import type { HostDetail } from "#contract/host-detail";
import { METRICS, type MetricName, type MetricValue } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { showValue } from "../print.ts";
import { type Cell, cell, figure, type Row, type Tone } from "../rows.ts";

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** A metric as text with its unit, or a dash. */
type Show = (name: MetricName) => string;

interface Sample {
  readonly show: Show;
  readonly value: (name: MetricName) => MetricValue;
  readonly detail: HostDetail;
}

const bytes = (value: number | null): string => showValue("memory_used", value);
const byteRate = (value: number | null): string => showValue("disk_read_bytes_sec", value);
const each = (value: number | null): string => (value === null ? "–" : `${Number(value.toFixed(value < 10 ? 1 : 0))}/s`);
const time = (value: number | null): string => showValue("disk_read_await_ms", value);
const share = (value: number | null): string => (value === null ? "–" : `${value.toFixed(1)} %`);

/** As everywhere, but for shares and rates a glance is enough. */
function show(name: MetricName, value: MetricValue): string {
  if (typeof value !== "number") return showValue(name, value);
  const { unit } = METRICS[name];
  if (unit === "%") return share(value);
  if (unit === "1/s") return each(value);
  return unit === "" ? value.toFixed(2) : showValue(name, value);
}

const LABEL_WIDTH = 10;
const label = (text: string): Cell => cell(text, LABEL_WIDTH, "dim");
const line = (of: string, text: string, tone: Tone = "plain"): Row => [label(of), cell(text, 0, tone)];

/** Colours a share that should stay small. */
function shareTone(value: MetricValue, warn: number, bad: number): Tone {
  if (typeof value !== "number") return "dim";
  return value >= bad ? "bad" : value >= warn ? "warn" : "plain";
}

/** Seconds in the two units that matter. */
export function span(seconds: MetricValue): string {
  if (typeof seconds !== "number") return "–";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

function processor({ show, value }: Sample): Section {
  const parts = [
    `user ${show("cpu_user_pct")}`,
    `kernel ${show("cpu_system_pct")}`,
    `interrupts ${show("cpu_softirq_pct")}`,
    `waiting for disks ${show("cpu_iowait_pct")}`,
    `taken by the hypervisor ${show("cpu_steal_pct")}`,
  ];
  const heat = [
    value("cpu_freq_current") === null ? [] : show("cpu_freq_current"),
    value("cpu_temperature") === null ? [] : show("cpu_temperature"),
    value("cpu_throttled") === null ? [] : `slowed down by heat ${show("cpu_throttled")} times`,
  ].flat();
  return {
    title: "processor",
    rows: [
      line("busy", show("cpu_percent"), shareTone(value("cpu_percent"), 80, 95)),
      line("of which", parts.join(" · ")),
      line("cores", [`${show("cpu_cores")}, busiest ${show("cpu_core_max_pct")}`, ...heat].join(" · ")),
      line("load", `${show("cpu_load_1min")} · ${show("cpu_load_5min")} · ${show("cpu_load_15min")} over 1, 5 and 15 min`),
      line(
        "pressure",
        `processor ${show("psi_cpu_some_10")} · disks ${show("psi_io_some_10")} (all tasks ${show("psi_io_full_10")}) · memory ${show("psi_mem_some_10")} (all tasks ${show("psi_mem_full_10")})`,
      ),
      line(
        "tasks",
        `${show("process_count")} processes, ${show("thread_count")} threads · ${show("cpu_procs_running")} running, ${show("cpu_procs_blocked")} blocked · ${show("cpu_forks")} started`,
      ),
    ],
  };
}

function memory({ show, value }: Sample): Section {
  const swap =
    value("swap_total") === 0
      ? "none"
      : `${show("swap_used")} of ${show("swap_total")} · in ${show("swap_in_bytes_sec")} · out ${show("swap_out_bytes_sec")}`;
  const killed = value("oom_kills");
  return {
    title: "memory",
    rows: [
      line(
        "in use",
        `${show("memory_percent")} · ${show("memory_used")} of ${show("memory_total")} · available ${show("memory_available")}`,
        shareTone(value("memory_percent"), 85, 95),
      ),
      line("caches", `${show("memory_cached")} · buffers ${show("memory_buffers")} · to be written ${show("memory_dirty")}`),
      line("swap", swap),
      line("killed", `${show("oom_kills")} for lack of memory`, typeof killed === "number" && killed > 0 ? "warn" : "plain"),
    ],
  };
}

function storage({ detail, value }: Sample): Section[] {
  const systems = (detail.file_systems ?? []).map((fs) => [
    cell(fs.mount, LABEL_WIDTH),
    cell(fs.type, 0, "dim"),
    figure(share(fs.used_pct), 0, shareTone(fs.used_pct, 85, 95)),
    figure(`${bytes(fs.used_bytes)} of ${bytes(fs.total_bytes)}`),
    figure(`inodes ${share(fs.inodes_used_pct)}`, 0, shareTone(fs.inodes_used_pct, 85, 95)),
    cell(fs.read_only === true ? "read-only" : "", 0, value("fs_readonly") === true ? "bad" : "dim"),
  ]);
  const disks = (detail.disks ?? []).map((disk) => [
    cell(disk.name, LABEL_WIDTH),
    figure(`busy ${share(disk.util_pct)}`, 0, shareTone(disk.util_pct, 80, 95)),
    figure(`reads ${byteRate(disk.read_bytes_sec)}`),
    figure(each(disk.read_iops)),
    figure(time(disk.read_await_ms)),
    figure(`writes ${byteRate(disk.write_bytes_sec)}`),
    figure(each(disk.write_iops)),
    figure(time(disk.write_await_ms)),
    cell(disk.temperature_c === null ? "" : `${disk.temperature_c} °C`),
  ]);
  return [
    { title: "file systems", rows: systems },
    { title: "disks", rows: disks },
  ];
}

function network({ show, value, detail }: Sample): Section[] {
  const interfaces = (detail.interfaces ?? []).map((port) => [
    cell(port.name, LABEL_WIDTH, port.name === detail.primary_interface ? "bold" : "plain"),
    cell(`${port.kind ?? ""} ${port.state}`.trim(), 0, "dim"),
    figure(`in ${byteRate(port.rx_bytes_sec)}`),
    figure(each(port.rx_packets_sec)),
    figure(`out ${byteRate(port.tx_bytes_sec)}`),
    figure(each(port.tx_packets_sec)),
    cell(port.mtu === null ? "" : `mtu ${port.mtu}`, 0, "dim"),
    cell(port.speed_mbps === null ? "" : `${port.speed_mbps} Mbit/s ${port.duplex ?? ""}`.trim(), 0, "dim"),
  ]);
  const wrong = (["if_rx_errors", "if_tx_errors", "if_rx_drops", "if_tx_drops"] as const).some((name) => Number(value(name)) > 0);
  const faults = `errors in ${show("if_rx_errors")}, out ${show("if_tx_errors")} · drops in ${show("if_rx_drops")}, out ${show("if_tx_drops")} · link changes ${show("if_carrier_changes")}`;
  const route = line("leads to", detail.default_gateway ?? "no gateway");
  const main = detail.primary_interface ?? null;
  return [
    { title: "interfaces", rows: interfaces },
    {
      title: main === null ? "default route" : `default route: ${main}`,
      rows: main === null ? [line("", "none")] : [route, line("faults", faults, wrong ? "warn" : "plain")],
    },
    {
      title: "sockets",
      rows: [
        line(
          "tcp",
          `${show("tcp_established")} established · ${show("tcp_time_wait")} in TIME-WAIT · ${show("sockets_used")} sockets in all`,
        ),
        line(
          "tcp, new",
          `${show("tcp_opens_sec")} opened · ${show("tcp_accepts_sec")} accepted · ${show("tcp_failed_sec")} failed · sent again ${show("host_tcp_retrans_pct")}`,
        ),
        line(
          "drops",
          `full listen queue ${show("host_listen_drops")} · full UDP buffers ${show("host_udp_drops")} · full backlog ${show("softnet_dropped")}`,
        ),
        line(
          "files",
          `${show("open_files")} open, ${show("open_files_pct")} of those allowed · connection tracking ${show("conntrack_used_pct")}`,
        ),
      ],
    },
  ];
}

function apparatus({ detail, show, value }: Sample): Section[] {
  const sensors = (title: string, list: HostDetail["fans"], unit: string): Row[] =>
    (list ?? []).map((each) => [label(title), cell(`${each.chip} ${each.label}`), figure(`${each.value} ${unit}`)]);
  const drives = (detail.drives ?? []).map((drive) =>
    line(
      "drive",
      `${drive.name} ${drive.model ?? ""} · SMART ${drive.passed === null ? "–" : drive.passed ? "passed" : "FAILED"} · ${drive.power_on_hours ?? "–"} h`,
      drive.passed === false ? "bad" : "plain",
    ),
  );
  const wifi = (detail.wifi ?? []).map((each) =>
    line(
      "wi-fi",
      `${each.interface} ${each.ssid ?? "–"} · ${each.rssi_dbm ?? "–"} dBm · ${each.freq_mhz ?? "–"} MHz · ${each.tx_mbps ?? "–"} Mbit/s`,
    ),
  );
  const battery =
    value("battery_pct") === null
      ? []
      : [line("battery", `${show("battery_pct")}${value("on_ac") === true ? ", on mains" : ""}`)];
  const clock =
    value("ntp_synced") === null
      ? []
      : [
          line(
            "clock",
            value("ntp_synced") === true ? "kept by a time daemon" : "kept by no time daemon",
            value("ntp_synced") === true ? "plain" : "warn",
          ),
        ];
  const rows = [
    ...sensors("heat", detail.temperatures, "°C"),
    ...sensors("fan", detail.fans, "rpm"),
    ...sensors("power", detail.power, "W"),
    ...drives,
    ...wifi,
    ...battery,
    ...clock,
  ];
  return [{ title: "hardware", rows }];
}

function programs({ detail }: Sample): Section[] {
  const row = (of: NonNullable<HostDetail["processes"]>["top_cpu"][number]): Row => [
    figure(String(of.pid), LABEL_WIDTH, "dim"),
    cell(of.name),
    figure(share(of.cpu_pct)),
    figure(bytes(of.rss_bytes)),
  ];
  const containers = (detail.containers ?? []).map(
    (each): Row => [
      cell(each.name ?? each.id.slice(0, 12), LABEL_WIDTH),
      figure(share(each.cpu_pct)),
      figure(bytes(each.memory_bytes)),
    ],
  );
  return [
    { title: "busiest processes", rows: (detail.processes?.top_cpu ?? []).map(row) },
    { title: "largest processes", rows: (detail.processes?.top_memory ?? []).map(row) },
    { title: "containers", rows: containers },
  ];
}

/** The sample in groups; a group without anything to say is left out. */
export function hostSections(result: Pick<Measurement, "metrics">, detail: HostDetail): Section[] {
  const value = (name: MetricName) => result.metrics[name] ?? null;
  const sample: Sample = { value, show: (name) => show(name, value(name)), detail };
  const sections = [
    processor(sample),
    memory(sample),
    ...storage(sample),
    ...network(sample),
    ...apparatus(sample),
    ...programs(sample),
  ];
  return sections.filter((section) => section.rows.length > 0);
}
