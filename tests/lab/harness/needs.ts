// What the lab needs of a machine, and what of it is missing here.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Command → the Debian package that brings it. */
const TOOLS: Readonly<Record<string, string>> = {
  ping: "iputils-ping",
  fping: "fping",
  mtr: "mtr-tiny",
  traceroute: "traceroute",
  tracepath: "iputils-tracepath",
  ss: "iproute2",
  ip: "iproute2",
  nft: "nftables",
  openssl: "openssl",
  setpriv: "util-linux",
  iperf3: "iperf3",
  tcpdump: "tcpdump",
  cc: "gcc and libc6-dev",
};

/** Where tools are looked for: also where a plain user's PATH does not lead. */
export const TOOL_PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

function isInstalled(tool: string): boolean {
  return TOOL_PATH.split(delimiter).some((dir) => dir !== "" && existsSync(join(dir, tool)));
}

function canMakeLinks(): boolean {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function hasIpv6(): boolean {
  return existsSync("/proc/net/if_inet6") && readFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6", "utf8").trim() === "0";
}

/** Why the lab cannot run here, as a sentence; null where it can. */
export function missing(): string | null {
  if (process.platform !== "linux") return "the network lab is made of Linux namespaces, this is another system";
  const lacks: string[] = [];
  if (process.getuid?.() !== 0) lacks.push("root");
  if (!canMakeLinks()) lacks.push("/dev/net/tun");
  if (!hasIpv6()) lacks.push("IPv6 in the kernel");
  for (const [tool, from] of Object.entries(TOOLS)) if (!isInstalled(tool)) lacks.push(`${tool} (${from})`);
  return lacks.length === 0 ? null : `the network lab needs ${lacks.join(", ")}`;
}
