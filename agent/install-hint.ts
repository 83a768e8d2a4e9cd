// The command that brings a missing tool or right, in the words of this system's package manager.
import { readFileSync } from "node:fs";

export type Manager = "apt" | "apk" | "dnf" | "brew" | "windows" | "unknown";

const PACKAGES: Readonly<Record<string, Partial<Record<Manager, string>>>> = {
  ping: { apt: "iputils-ping", apk: "iputils-ping", dnf: "iputils" },
  traceroute: { apt: "traceroute", apk: "traceroute", dnf: "traceroute" },
  mtr: { apt: "mtr-tiny", apk: "mtr", dnf: "mtr", brew: "mtr" },
  ss: { apt: "iproute2", apk: "iproute2-ss", dnf: "iproute" },
  tracepath: { apt: "iputils-tracepath", apk: "iputils-tracepath", dnf: "iputils" },
  tcpdump: { apt: "tcpdump", apk: "tcpdump", dnf: "tcpdump" },
  ip: { apt: "iproute2", apk: "iproute2", dnf: "iproute" },
  smartctl: { apt: "smartmontools", apk: "smartmontools", dnf: "smartmontools", brew: "smartmontools" },
  iw: { apt: "iw", apk: "iw", dnf: "iw" },
};

const COMMAND: Readonly<Partial<Record<Manager, string>>> = {
  apt: "sudo apt-get install",
  apk: "sudo apk add",
  dnf: "sudo dnf install",
  brew: "brew install",
};

/** The package manager by the contents of os-release(5). */
export function managerOf(osRelease: string): Manager {
  const ids = /^ID(?:_LIKE)?=.*$/gim;
  const words = (osRelease.match(ids) ?? []).join(" ").toLowerCase();
  if (/debian|ubuntu/.test(words)) return "apt";
  if (/alpine/.test(words)) return "apk";
  if (/fedora|rhel|centos|amzn/.test(words)) return "dnf";
  return "unknown";
}

function manager(): Manager {
  if (process.platform === "darwin") return "brew";
  if (process.platform === "win32") return "windows";
  try {
    return managerOf(readFileSync("/etc/os-release", "utf8"));
  } catch {
    return "unknown";
  }
}

/**
 * How to get a tool (`ping`, `traceroute`, `mtr`, `tracepath`, `ss`, `ip`, `smartctl`, `iw`), the right to open raw sockets (`raw`), or the right
 * to use ping: `ping-permission` where it may open no
 * socket, `ping-start` where it may not even start, since its file asks for a capability this process cannot have.
 */
export function installHint(what: string, here: Manager = manager()): string {
  if (what === "ping-permission") {
    return here === "windows" || here === "brew"
      ? "run the agent as an administrator"
      : `allow it with: sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"`;
  }
  if (what === "ping-start") {
    return "let the agent have CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW), or take it off the file: sudo setcap -r $(command -v ping)";
  }
  if (what === "raw") {
    return here === "windows" || here === "brew"
      ? "run the agent as an administrator"
      : "let the agent have CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW)";
  }
  const name = PACKAGES[what]?.[here];
  const command = COMMAND[here];
  return name === undefined || command === undefined
    ? `install ${what} with this system's packages`
    : `install it with: ${command} ${name}`;
}
