// Reads what Linux says about interfaces, routes and sockets: text in, figures out.

const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number);

export const INTERFACE_COUNTERS = [
  "rxBytes",
  "rxPackets",
  "rxErrors",
  "rxDrops",
  "txBytes",
  "txPackets",
  "txErrors",
  "txDrops",
] as const;
export type InterfaceCounter = (typeof INTERFACE_COUNTERS)[number];
export type InterfaceCounters = Readonly<Record<InterfaceCounter, number>> & { readonly name: string };

/** Counters by interface since it was made (proc_pid_net(5), RFC 2863 names them). */
export function parseNetDev(text: string): InterfaceCounters[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(\S+):\s*(\d.*)$/.exec(line);
    const name = match?.[1];
    const fields = numbers(match?.[2] ?? "");
    if (name === undefined || fields.length < 16 || !fields.every(Number.isFinite)) return [];
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDrops = 0] = fields;
    const [txBytes = 0, txPackets = 0, txErrors = 0, txDrops = 0] = fields.slice(8);
    return [{ name, rxBytes, rxPackets, rxErrors, rxDrops, txBytes, txPackets, txErrors, txDrops }];
  });
}

export interface DefaultRoute {
  readonly name: string;
  readonly gateway: string | undefined;
}

/** Flags of a route (route(8)): usable, through a gateway, refusing. */
const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;

/** The IPv4 default route with the lowest metric, from /proc/net/route, where addresses are numbers in the processor's order. */
export function parseRoute(text: string, order: "LE" | "BE" = "LE"): DefaultRoute | undefined {
  const routes = text.split("\n").flatMap((line) => {
    const [name, destination, gateway, hexFlags, , , metric, mask] = line.trim().split(/\s+/);
    const flags = Number.parseInt(hexFlags ?? "0", 16);
    const usable = (flags & RTF_UP) !== 0 && (flags & RTF_REJECT) === 0;
    if (name === undefined || gateway === undefined || !usable || destination !== "00000000" || mask !== "00000000") return [];
    const through = (flags & RTF_GATEWAY) !== 0 ? dotted(gateway, order) : undefined;
    return [{ name, gateway: through, metric: Number(metric) }];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0];
}

function dotted(hex: string, order: "LE" | "BE"): string {
  const bytes = (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
  return (order === "LE" ? bytes.reverse() : bytes).join(".");
}

/** The IPv6 default route through a gateway with the lowest metric, from /proc/net/ipv6_route. */
export function parseRoute6(text: string): DefaultRoute | undefined {
  const routes = text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const name = fields[9];
    const flags = Number.parseInt(fields[8] ?? "0", 16);
    const usable = (flags & RTF_UP) !== 0 && (flags & RTF_GATEWAY) !== 0 && (flags & RTF_REJECT) === 0;
    if (name === undefined || name === "lo" || !usable || !/^0{32}$/.test(fields[0] ?? "") || fields[1] !== "00") return [];
    return [{ name, gateway: shortIpv6(fields[4] ?? "", name), metric: Number.parseInt(fields[5] ?? "0", 16) }];
  });
  return routes.sort((a, b) => a.metric - b.metric)[0];
}

/** 32 hexadecimal digits as RFC 5952 writes them; a link-local address means nothing without its interface (RFC 4007). */
function shortIpv6(hex: string, name: string): string | undefined {
  const groups = /^[0-9a-f]{32}$/.test(hex) ? (hex.match(/.{4}/g) ?? []) : [];
  if (groups.length === 0) return undefined;
  const address = new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  return address.startsWith("fe80:") ? `${address}%${name}` : address;
}

/** One protocol's counters of /proc/net/snmp or /proc/net/netstat by name (RFC 4022 for Tcp, RFC 4113 for Udp). */
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

/** One counter of /proc/net/snmp6, which has a line for each. */
export function parseSnmp6(text: string, name: string): number | undefined {
  const digits = new RegExp(`^${name}\\s+(\\d+)`, "m").exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface Sockets {
  /** Of every kind, in this network namespace. */
  readonly used: number | undefined;
  /** TCP in TIME-WAIT. */
  readonly timeWait: number | undefined;
}

/** /proc/net/sockstat. */
export function parseSockstat(text: string): Sockets {
  const figure = (pattern: RegExp) => {
    const digits = pattern.exec(text)?.[1];
    return digits === undefined ? undefined : Number(digits);
  };
  return { used: figure(/^sockets: used (\d+)/m), timeWait: figure(/^TCP: .*\btw (\d+)/m) };
}

/** Packets dropped because a processor's backlog was full, from /proc/net/softnet_stat (second column, hexadecimal). */
export function parseSoftnetDropped(text: string): number | undefined {
  const columns = text.split("\n").flatMap((line) => /^[0-9a-f]+ ([0-9a-f]+) /.exec(line)?.[1] ?? []);
  return columns.length === 0 ? undefined : columns.reduce((sum, hex) => sum + Number.parseInt(hex, 16), 0);
}
