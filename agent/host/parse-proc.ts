// Reads the files of /proc: text in, numbers out, undefined where a file or a field is not there. See proc(5) and its pages.

/** CPU time since boot in clock ticks (proc_stat(5)). */
export interface CpuTimes {
  readonly user: number;
  readonly nice: number;
  readonly system: number;
  readonly idle: number;
  readonly iowait: number;
  readonly irq: number;
  readonly softirq: number;
  readonly steal: number;
}

export interface Stat {
  readonly cpu: CpuTimes;
  readonly cores: number;
  /** Since boot. */
  readonly contextSwitches: number | undefined;
  readonly interrupts: number | undefined;
}

const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number);

export function parseStat(text: string): Stat | undefined {
  const line = /^cpu +(.+)$/m.exec(text)?.[1];
  if (line === undefined) return undefined;
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = numbers(line);
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) return undefined;
  const cpu = { user, nice, system, idle, iowait, irq, softirq, steal };
  if (!Object.values(cpu).every(Number.isFinite)) return undefined;
  const counter = (name: string) => {
    const digits = new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1];
    return digits === undefined ? undefined : Number(digits);
  };
  return {
    cpu,
    cores: (text.match(/^cpu\d+ /gm) ?? []).length,
    contextSwitches: counter("ctxt"),
    interrupts: counter("intr"),
  };
}

/** Load averages over 1, 5 and 15 minutes (proc_loadavg(5)). */
export function parseLoadavg(text: string): readonly [number, number, number] | undefined {
  const match = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) /.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** proc_meminfo(5) in bytes, by name. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const match of text.matchAll(/^([\w()]+): +(\d+)( kB)?$/gm)) {
    if (match[1] !== undefined) values.set(match[1], Number(match[2]) * (match[3] === undefined ? 1 : 1024));
  }
  return values;
}

/** Share of time some task waited, 10 s average, percent (Documentation/accounting/psi.rst). */
export function parsePressure(text: string): number | undefined {
  const share = /^some avg10=(\d+\.\d+) /m.exec(text)?.[1];
  return share === undefined ? undefined : Number(share);
}

export interface DiskCounters {
  readonly name: string;
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writtenBytes: number;
  /** Milliseconds with at least one request in flight. */
  readonly busyMs: number;
}

/** Counters since boot by block device (Documentation/admin-guide/iostats.rst); a sector is 512 bytes whatever the disk says. */
export function parseDiskstats(text: string): DiskCounters[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const name = fields[2];
    const [reads, , sectorsRead, , writes, , sectorsWritten, , , busyMs] = fields.slice(3).map(Number);
    if (name === undefined || busyMs === undefined || fields.length < 14) return [];
    if (reads === undefined || sectorsRead === undefined || writes === undefined || sectorsWritten === undefined) return [];
    const counters = { reads, readBytes: sectorsRead * 512, writes, writtenBytes: sectorsWritten * 512, busyMs };
    return Object.values(counters).every(Number.isFinite) ? [{ name, ...counters }] : [];
  });
}

export interface InterfaceCounters {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDrops: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDrops: number;
}

/** Counters since boot by interface (proc_pid_net(5), RFC 2863 names them). */
export function parseNetDev(text: string): InterfaceCounters[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*([^\s:]+):\s*(.+)$/.exec(line);
    const name = match?.[1];
    const fields = numbers(match?.[2] ?? "");
    if (name === undefined || fields.length < 16 || !fields.every(Number.isFinite)) return [];
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDrops = 0] = fields;
    const [txBytes = 0, txPackets = 0, txErrors = 0, txDrops = 0] = fields.slice(8);
    return [{ name, rxBytes, rxPackets, rxErrors, rxDrops, txBytes, txPackets, txErrors, txDrops }];
  });
}

/** Interface of the IPv4 default route with the lowest metric, from /proc/net/route. */
export function parseRoute(text: string): { name: string; gateway: string } | undefined {
  const routes = text.split("\n").flatMap((line) => {
    const [name, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/);
    const up = (Number.parseInt(flags ?? "0", 16) & 1) === 1;
    if (name === undefined || gateway === undefined || !up || destination !== "00000000" || mask !== "00000000") return [];
    return [{ name, gateway: littleEndianAddress(gateway), metric: Number(metric) }];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0];
}

const littleEndianAddress = (hex: string): string =>
  (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join(".");

/** Interface of the IPv6 default route with the lowest metric, from /proc/net/ipv6_route. */
export function parseRoute6(text: string): string | undefined {
  const routes = text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const name = fields[9];
    const isDefault = /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00";
    const gateway = (Number.parseInt(fields[8] ?? "0", 16) & 2) === 2;
    return name !== undefined && name !== "lo" && isDefault && gateway
      ? [{ name, metric: Number.parseInt(fields[5] ?? "0", 16) }]
      : [];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0]?.name;
}

/** One protocol's counters of /proc/net/snmp by name (RFC 4022 for Tcp). */
export function parseSnmp(text: string, protocol: string): ReadonlyMap<string, number> {
  const [names, values] = text.split("\n").filter((line) => line.startsWith(`${protocol}: `));
  const figures = numbers((values ?? "").slice(protocol.length + 1));
  const counters = new Map<string, number>();
  for (const [i, name] of (names ?? "").split(/\s+/).slice(1).entries()) {
    const figure = figures[i];
    if (figure !== undefined && Number.isFinite(figure)) counters.set(name, figure);
  }
  return counters;
}

/** TCP sockets in TIME-WAIT, from /proc/net/sockstat. */
export function parseTimeWait(text: string): number | undefined {
  const count = /^TCP: .*\btw (\d+)/m.exec(text)?.[1];
  return count === undefined ? undefined : Number(count);
}

/** Packets dropped because a processor's backlog was full, from /proc/net/softnet_stat (second column, hexadecimal). */
export function parseSoftnetDropped(text: string): number | undefined {
  const columns = text.split("\n").flatMap((line) => /^[0-9a-f]+ ([0-9a-f]+) /.exec(line)?.[1] ?? []);
  return columns.length === 0 ? undefined : columns.reduce((sum, hex) => sum + Number.parseInt(hex, 16), 0);
}

/** Allocated file handles, system wide (/proc/sys/fs/file-nr). */
export function parseFileNr(text: string): number | undefined {
  const count = /^(\d+)\s/.exec(text)?.[1];
  return count === undefined ? undefined : Number(count);
}

/** Seconds since boot. */
export function parseUptime(text: string): number | undefined {
  const seconds = /^(\d+\.\d+) /.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

export interface Mount {
  readonly device: string;
  readonly path: string;
  readonly type: string;
}

const REAL_TYPES = /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|vfat|exfat|ntfs3?|fuseblk|bcachefs|nilfs2|ubifs)$/;

/**
 * Local file systems worth watching, each device once (a bind mount is no second disk). Pseudo, network (their statfs can
 * hang) and image (loop, squashfs) file systems are left out; an overlay only counts as a container's root.
 */
export function parseMounts(text: string): Mount[] {
  const seen = new Set<string>();
  return text.split("\n").flatMap((line) => {
    const [device, rawPath, type] = line.split(" ");
    if (device === undefined || rawPath === undefined || type === undefined) return [];
    const path = rawPath.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const real = REAL_TYPES.test(type) && !/^\/dev\/loop/.test(device);
    const root = path === "/" && type === "overlay";
    if (!(real || root) || seen.has(device)) return [];
    seen.add(device);
    return [{ device, path, type }];
  });
}

/** Mean of the current frequencies in /proc/cpuinfo, MHz. */
export function parseCpuMhz(text: string): number | undefined {
  const values = [...text.matchAll(/^cpu MHz\s*: (\d+\.\d+)$/gm)].map((match) => Number(match[1]));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
