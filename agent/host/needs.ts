// What this host lacks for each metric that it cannot measure, in words, with the command that brings it where there is one.
import type { MetricName, Reason } from "#contract/metrics";
import type { Metrics, Reasons } from "#contract/result";
import { installHint } from "../install-hint.ts";

/** A text for every reason, or one by reason; `else` for the rest. */
type Words = Readonly<Partial<Record<Reason | "else", string>>>;

interface Rule {
  readonly metrics: RegExp;
  readonly words: Words;
}

const SENSOR_MODULE = "load the kernel module of the board's sensors (sensors-detect of lm-sensors finds it)";
const KERNEL = "the kernel keeps no such figure";

/** The first rule that fits a metric counts. */
const LINUX: readonly Rule[] = [
  {
    metrics: /^cpu_temperature$/,
    words: {
      not_applicable: "no sensor: a virtual machine shows none",
      else: "no sensor of the processor: load its kernel module (coretemp, k10temp)",
    },
  },
  {
    metrics: /^fan_/,
    words: { not_applicable: "no sensors: a virtual machine shows none", else: `no fan that turns is shown: ${SENSOR_MODULE}` },
  },
  {
    metrics: /^power_watts$/,
    words: {
      no_permission: "the processor's energy counters are for root: run as root or grant CAP_DAC_READ_SEARCH",
      else: "no energy counter and no power meter: a virtual machine shows none",
    },
  },
  { metrics: /^(battery_pct|on_ac)$/, words: { not_applicable: "no battery", else: "the battery does not tell" } },
  {
    metrics: /^(disk_temperature|smart_|nvme_|drive_)/,
    words: {
      not_applicable: "no drive of this kind: a virtual disk has no health of its own",
      tool_missing: `smartctl: ${installHint("smartctl")}; run as root or grant CAP_SYS_RAWIO`,
      no_permission: "smartctl may not ask the drives: run as root or grant CAP_SYS_RAWIO and read access to the drives",
      else: "the drives do not tell, or the controller before them (RAID, USB) does not pass it on",
    },
  },
  {
    metrics: /^edac_/,
    words: { else: "no memory controller reports errors: needs ECC memory and its EDAC kernel module" },
  },
  {
    metrics: /^wifi_/,
    words: {
      not_applicable: "no wireless interface, or it belongs to no network",
      tool_missing: `iw: ${installHint("iw")}`,
      else: "the wireless driver does not tell",
    },
  },
  {
    metrics: /^containers_running$/,
    words: { else: "control groups are not in view: the agent runs in a container itself, or none are mounted" },
  },
  {
    metrics: /^reboot_required$/,
    words: { else: "nothing on this system marks it (Debian and Ubuntu: unattended-upgrades or update-notifier)" },
  },
  {
    metrics: /^ntp_synced$/,
    words: {
      tool_missing: "no time daemon to ask: install chrony or systemd-timesyncd",
      else: "no time daemon answers: start chrony or systemd-timesyncd",
    },
  },
  { metrics: /^conntrack_/, words: { else: "the kernel module nf_conntrack is not loaded" } },
  { metrics: /^psi_/, words: { else: "the kernel keeps no pressure figures: start it with psi=1" } },
  {
    metrics: /^cpu_(throttled|freq)/,
    words: { else: "the processor does not tell: a virtual machine's shows neither frequency nor throttling" },
  },
  {
    metrics: /^if_(speed|duplex|util)/,
    words: {
      no_route: "no default route, so no primary interface",
      else: "the interface reports no speed: a virtual one has none",
    },
  },
  { metrics: /^if_/, words: { no_route: "no default route, so no primary interface", else: "the interface does not tell" } },
  { metrics: /^disk_/, words: { else: "no physical disk in view" } },
  { metrics: /^fs_inodes/, words: { else: "no file system with a fixed number of inodes" } },
  { metrics: /^fs_/, words: { else: "no local file system in view" } },
  { metrics: /^swap_/, words: { else: "no swap" } },
  {
    metrics: /^(process_|thread_|open_files)/,
    words: {
      no_permission: "/proc hides other users' processes (hidepid): run as root",
      not_applicable: "no limit is set",
      else: KERNEL,
    },
  },
  { metrics: /./, words: { no_permission: "may not be read by this user: run as root", else: KERNEL } },
];

/** macOS and Windows: what is cheap enough to ask there every minute is measured, the rest is not. */
const ELSEWHERE: readonly Rule[] = [
  { metrics: /^(battery_pct|on_ac)$/, words: { not_applicable: "no battery", else: "the system does not tell" } },
  {
    metrics: /^wifi_/,
    words: { not_applicable: "no Wi-Fi network", else: "the system does not tell it without being asked too often" },
  },
  { metrics: /^if_/, words: { no_route: "no default route, so no primary interface", else: "not read on this system" } },
  { metrics: /./, words: { not_applicable: "this host has none", else: "not read on this system: Linux only" } },
];

/** Reasons that are no lack of the host's: the next sample, or a quieter one, has the figure. */
const PASSING: ReadonlySet<Reason> = new Set(["too_few_samples", "host_overloaded"]);

function needOf(metric: string, reason: Reason, rules: readonly Rule[]): string {
  if (reason === "timeout") return "it does not answer in time";
  const words = rules.find((rule) => rule.metrics.test(metric))?.words ?? {};
  return words[reason] ?? words.else ?? KERNEL;
}

/**
 * For every metric without a value what it needs. `told` is what the readers know better. Metrics that only wait for a second look
 * are left out.
 */
export function needsOf(
  metrics: Metrics,
  reasons: Reasons,
  told: Readonly<Record<string, string>> = {},
  platform: NodeJS.Platform = process.platform,
): Record<string, string> {
  const rules = platform === "linux" ? LINUX : ELSEWHERE;
  const needs: Record<string, string> = {};
  for (const metric of Object.keys(metrics) as MetricName[]) {
    const reason = reasons[metric] ?? "unsupported";
    if (metrics[metric] !== null || PASSING.has(reason)) continue;
    needs[metric] = told[metric] ?? needOf(metric, reason, rules);
  }
  return needs;
}

/** The metrics that lack the same, together; the lack that costs most figures first. */
export function groupedNeeds(needs: Readonly<Record<string, string>>): { need: string; metrics: string[] }[] {
  const groups = new Map<string, string[]>();
  for (const [metric, need] of Object.entries(needs)) groups.set(need, [...(groups.get(need) ?? []), metric]);
  return [...groups].map(([need, metrics]) => ({ need, metrics })).sort((a, b) => b.metrics.length - a.metrics.length);
}
