// Whom the self-test asks: the next hops of the default routes, the resolvers, the server or the proxy in front of it.
import { readFileSync } from "node:fs";
import { BlockList, isIP, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { canonicalAddress } from "./address.ts";
import { systemServers } from "./dns/resolvers.ts";

/** The next hop of a default route. */
export interface Gateway {
  /** A literal; link-local ones with their zone. */
  readonly address: string;
  readonly device: string;
}

export interface Resolver {
  readonly address: string;
  readonly port: number;
}

/** Where the agent's own connection to its server goes. */
export interface Endpoint {
  /** Name or literal without brackets. */
  readonly host: string;
  readonly port: number;
  readonly proxy: boolean;
}

const ROUTES_4 = "/proc/net/route";
const ROUTES_6 = "/proc/net/ipv6_route";
const MOST_RESOLVERS = 3;
/** Flags of linux/route.h. */
const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;

interface Route extends Gateway {
  readonly metric: number;
}

const leads = (flags: number): boolean => (flags & (RTF_UP | RTF_GATEWAY | RTF_REJECT)) === (RTF_UP | RTF_GATEWAY);
const best = (routes: readonly Route[]): Route[] => routes.toSorted((a, b) => a.metric - b.metric).slice(0, 1);

/** Default routes of /proc/net/route that name a next hop. Addresses there are hexadecimal in the host's byte order. */
export function parseRoutes4(text: string): Route[] {
  return text.split("\n").flatMap((line): Route[] => {
    const [device, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/);
    if (device === undefined || destination !== "00000000" || mask !== "00000000" || gateway === undefined) return [];
    if (!/^[0-9A-F]{8}$/i.test(gateway) || !leads(Number.parseInt(flags ?? "", 16))) return [];
    const bytes = Buffer.from(gateway, "hex");
    if (LITTLE_ENDIAN) bytes.reverse();
    return [{ device, address: bytes.join("."), metric: Number(metric) }];
  });
}

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Default routes of /proc/net/ipv6_route that name a next hop. */
export function parseRoutes6(text: string): Route[] {
  return text.split("\n").flatMap((line): Route[] => {
    const [destination, length, , , gateway, metric, , , flags, device] = line.trim().split(/\s+/);
    if (device === undefined || gateway === undefined || length !== "00" || !/^0{32}$/.test(destination ?? "")) return [];
    if (!/^[0-9a-f]{32}$/i.test(gateway) || !leads(Number.parseInt(flags ?? "", 16))) return [];
    const address = canonicalAddress((gateway.match(/.{4}/g) ?? []).join(":"));
    const zone = /^fe[89ab]/i.test(address) ? `%${device}` : "";
    return [{ device, address: `${address}${zone}`, metric: Number.parseInt(metric ?? "", 16) }];
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Another system, or a kernel without IPv6.
  }
}

/** The next hop of the best default route of each family; undefined where the system does not tell it in a file. */
export function defaultGateways(): Gateway[] | undefined {
  if (process.platform !== "linux") return undefined;
  return [...best(parseRoutes4(read(ROUTES_4))), ...best(parseRoutes6(read(ROUTES_6)))];
}

/** Where local stub resolvers keep the servers they ask: systemd-resolved, NetworkManager's and resolvconf's dnsmasq. */
const BEHIND_STUBS = [
  "/run/systemd/resolve/resolv.conf",
  "/run/NetworkManager/no-stub-resolv.conf",
  "/run/dnsmasq/resolv.conf",
] as const;

/** `nameserver` lines of resolv.conf(5). */
export const parseNameservers = (text: string): Resolver[] =>
  [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address = ""]) =>
    isIP(address) === 0 ? [] : [{ address, port: 53 }],
  );

/**
 * Resolvers whose answer comes over the network. One on this host answers from its cache, or SERVFAIL, with the line cut:
 * the servers behind it are asked instead where their list is known.
 */
export function resolversToAsk(own: OwnNetworks): Resolver[] {
  const elsewhere = ({ address }: Resolver) => !own.isOwn(address);
  const listed = systemServers();
  const direct = listed.filter(elsewhere);
  if (direct.length > 0 || listed.length === 0) return direct.slice(0, MOST_RESOLVERS);
  for (const path of BEHIND_STUBS) {
    const behind = parseNameservers(read(path)).filter(elsewhere);
    if (behind.length > 0) return behind.slice(0, MOST_RESOLVERS);
  }
  return [];
}

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "ws:": 80, "https:": 443, "wss:": 443 };
const portOf = (url: URL): number => (url.port === "" ? (PORTS[url.protocol] ?? 443) : Number(url.port));
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

/** Whether NO_PROXY names the host, itself or by a suffix, with or without its port. */
function bypasses(list: string, host: string, port: number): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((rule) => rule !== "")
    .some((rule) => {
      if (rule === "*") return true;
      const [, name = rule, only] = /^(.+?):(\d+)$/.exec(isIPv6(rule) ? "" : rule) ?? [];
      if (only !== undefined && Number(only) !== port) return false;
      const suffix = name.replace(/^\*?\.?/, "");
      return host === suffix || (isIP(host) === 0 && host.endsWith(`.${suffix}`));
    });
}

/** The server's host and port, or those of the proxy that the environment sets for it. */
export function edgeEndpoint(server: string, env: NodeJS.ProcessEnv = process.env): Endpoint {
  const url = new URL(server);
  const direct = { host: bare(url.hostname), port: portOf(url), proxy: false };
  const variable = url.protocol === "https:" ? "https_proxy" : "http_proxy";
  const proxy = env[variable] || env[variable.toUpperCase()];
  const except = env.no_proxy || env.NO_PROXY || "";
  if (!proxy || bypasses(except, direct.host, direct.port)) return direct;
  const via = URL.canParse(proxy) ? new URL(proxy) : undefined;
  return via === undefined || via.hostname === "" ? direct : { host: bare(via.hostname), port: portOf(via), proxy: true };
}

/** Interfaces come and go with cables and containers; looking costs a fraction of a millisecond. */
const LOOK_AGAIN_MS = 30_000;

/** This host's own addresses and the networks it stands in. */
export class OwnNetworks {
  #addresses = new Set<string>();
  #networks = new BlockList();
  #read = Number.NEGATIVE_INFINITY;

  /** Whether an address is this host's own, loopback included. */
  isOwn(address: string): boolean {
    this.#refresh();
    return /^(127\.|::1$|0\.)/.test(canonicalAddress(address)) || this.#addresses.has(canonicalAddress(address));
  }

  /** Whether packets to an address have to pass a router: what stands in a network of this host may be its own container. */
  isBeyond(address: string): boolean {
    this.#refresh();
    if (isIP(address) === 0 || this.isOwn(address)) return false;
    return !this.#networks.check(canonicalAddress(address), isIPv6(address) ? "ipv6" : "ipv4");
  }

  #refresh(): void {
    if (performance.now() - this.#read < LOOK_AGAIN_MS) return;
    this.#read = performance.now();
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    this.#addresses = new Set(all.map(({ address }) => canonicalAddress(address)));
    this.#networks = new BlockList();
    for (const { cidr, family } of all) {
      const [base, bits] = cidr?.split("/") ?? [];
      if (base !== undefined) this.#networks.addSubnet(base, Number(bits), family === "IPv6" ? "ipv6" : "ipv4");
    }
  }
}
