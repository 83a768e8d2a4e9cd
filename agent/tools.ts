// The tools besides ping that this host may have, their versions, and what measuring loses without each.
import { findTool, runTool } from "./exec.ts";
import { rootsAt } from "./host/hardware-files.ts";
import { drivesOf } from "./host/smart.ts";
import { wirelessInterfaces } from "./host/wifi.ts";

export interface ToolFact {
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** As the tool prints it; null where it has no version to print. */
  readonly version: string | null;
}

interface KnownTool {
  readonly name: string;
  /** What it is needed for, told where it is missing. */
  readonly serves: string;
  readonly versionArgs: readonly string[];
  readonly version: RegExp;
  readonly platforms: readonly NodeJS.Platform[];
  /** Whether this host has what the tool is for; absent where every host has. */
  wanted?(): boolean;
}

const KNOWN: readonly KnownTool[] = [
  {
    name: "traceroute",
    serves: "paths over several flows",
    versionArgs: ["--version"],
    version: /version (\d[\w.]*)/,
    platforms: ["linux", "darwin"],
  },
  {
    name: "mtr",
    serves: "paths, where traceroute is missing",
    versionArgs: ["--version"],
    version: /mtr (\d[\w.]*)/,
    platforms: ["linux", "darwin"],
  },
  {
    name: "tracepath",
    serves: "paths and path MTU without privileges",
    versionArgs: ["-V"],
    version: /iputils (\d{8})/,
    platforms: ["linux"],
  },
  {
    name: "tcpdump",
    serves: "traffic classes (DSCP) and ECN along a path",
    versionArgs: ["--version"],
    version: /tcpdump version (\d[\w.]*)/,
    platforms: ["linux"],
  },
  {
    name: "ss",
    serves: "the kernel's view of TCP connections",
    versionArgs: ["-V"],
    version: /iproute2-(\d[\w.]*)/,
    platforms: ["linux"],
  },
  {
    name: "ip",
    serves: "routes and their MTU",
    versionArgs: ["-V"],
    version: /iproute2-(\d[\w.]*)/,
    platforms: ["linux"],
  },
  {
    name: "smartctl",
    serves: "the health of drives (SMART)",
    versionArgs: ["--version"],
    version: /smartctl (\d[\w.]*)/,
    platforms: ["linux"],
    wanted: () => drivesOf(rootsAt()).length > 0,
  },
  {
    name: "iw",
    serves: "Wi-Fi: network, signal and bit rates",
    versionArgs: ["--version"],
    version: /iw version (\d[\w.]*)/,
    platforms: ["linux"],
    wanted: () => wirelessInterfaces(rootsAt()).length > 0,
  },
];

const VERSION_MS = 2000;

/** Tools this system could have, and this host a use for. */
export const knownTools = (platform: NodeJS.Platform = process.platform): readonly KnownTool[] =>
  KNOWN.filter((tool) => tool.platforms.includes(platform) && (tool.wanted?.() ?? true));

/** The tool as installed, or undefined. */
export async function lookAt({ name, versionArgs, version }: KnownTool): Promise<ToolFact | undefined> {
  const file = findTool(name);
  if (file === undefined) return undefined;
  const run = await runTool({ file, args: versionArgs, timeout_ms: VERSION_MS });
  return { name, file, version: version.exec(run.stdout + run.stderr)?.[1] ?? null };
}

/**
 * Whether ICMP and TCP probes along a path may be sent: they need a raw socket (CAP_NET_RAW), UDP ones do not.
 * Tried once on the loopback address; null without traceroute.
 */
export async function mayTraceRaw(): Promise<boolean | null> {
  const file = findTool("traceroute");
  if (file === undefined || process.platform !== "linux") return null;
  const args = ["-n", "-T", "-q", "1", "-m", "1", "-w", "0.5", "--", "127.0.0.1"];
  const run = await runTool({ file, args, timeout_ms: VERSION_MS });
  return run.code === 0 && /^ *1 +127\.0\.0\.1 /m.test(run.stdout);
}
