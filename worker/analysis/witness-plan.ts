// What witnesses are asked about a test: where its path leads, what the edge can try, a quick check for other clients. Pure.
import { checkEndpoint, checkHost, checkUrl, ipVersion, peerDestination } from "#contract/destination";
import { type DnsParams, dnsResolvers } from "#contract/test-types/dns";
import type { Job } from "#contract/wire";

export interface Aim {
  readonly type: string;
  readonly destination: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What the edge tries. `own_port`: the very service that is tested, so that a failure to connect speaks against the target. */
export type EdgeAim =
  | { readonly kind: "fetch"; readonly url: string; readonly host: string; readonly port: number; readonly expect: string | null }
  | { readonly kind: "connect"; readonly host: string; readonly ports: readonly number[]; readonly own_port: boolean }
  | { readonly kind: "none"; readonly says: string };

const none = (says: string): EdgeAim => ({ kind: "none", says });
const portOf = (params: Aim["params"], preset: number): number => (typeof params.port === "number" ? params.port : preset);

/** Ports that are tried of a host whose test has no TCP port of its own. */
const USUAL_PORTS = [443, 80] as const;

function resolverOf(params: Aim["params"]) {
  const listed = dnsResolvers({ transport: "udp", ...params } as Pick<DnsParams, "resolver" | "transport" | "port">);
  const first = listed.ok ? listed.resolvers[0] : undefined;
  return first?.kind === "server" ? first : undefined;
}

/** What the edge can try of a test. */
export function edgeAim({ type, destination, params }: Aim): EdgeAim {
  if (peerDestination(destination) !== undefined) return none("The target is another client, which only clients can measure.");
  if (type === "dns") {
    const server = resolverOf(params);
    if (server === undefined) return none("The client asks the resolver of its own network.");
    return { kind: "connect", host: server.host, ports: [server.port], own_port: server.transport !== "udp" };
  }
  if (type === "bandwidth" && destination.trim() === "edge") return none("The target is this server itself.");
  const url = checkUrl(destination);
  if (url.ok) {
    const expect = typeof params.expect_status === "string" ? params.expect_status : null;
    if (type === "http") return { kind: "fetch", url: url.url, host: url.host, port: url.port, expect };
    return { kind: "connect", host: url.host, ports: [url.port], own_port: true };
  }
  const endpoint = checkEndpoint(destination);
  if (!endpoint.ok) return none("The target is nothing the server could ask.");
  const { host, version } = endpoint;
  const port = endpoint.port ?? portOf(params, 443);
  // A certificate is checked by its name; that of a name asked for besides cannot be.
  if (type === "tls" && version === 0 && params.servername === undefined) {
    return { kind: "fetch", url: `https://${host}:${port}/`, host, port, expect: "1xx,2xx,3xx,4xx,5xx" };
  }
  if (type === "tcp" || type === "tls") return { kind: "connect", host, ports: [port], own_port: true };
  if (type === "bandwidth") return { kind: "connect", host, ports: [endpoint.port ?? 80], own_port: true };
  if (type === "traceroute" && params.method === "tcp") return { kind: "connect", host, ports: [port], own_port: true };
  return { kind: "connect", host, ports: USUAL_PORTS, own_port: false };
}

/** Names one edge check, so that events about the same target can share it. */
export const aimKey = (aim: EdgeAim, { type, destination }: Pick<Aim, "type" | "destination">): string =>
  aim.kind === "fetch" ? aim.url : aim.kind === "connect" ? `${aim.host} ${aim.ports.join(" ")}` : `${type} ${destination}`;

/** The host whose path matters: the test's, of a DNS test its resolver. Undefined where the edge knows none. */
export function pathHost({ type, destination, params }: Aim): string | undefined {
  const peer = peerDestination(destination);
  if (peer !== undefined) return peer.kind === "client" ? destination.trim() : undefined;
  if (type === "dns") return resolverOf(params)?.host;
  const url = checkUrl(destination);
  if (url.ok) return url.host;
  const host = checkHost(destination);
  if (host.ok) return type === "bandwidth" && host.host === "edge" ? undefined : host.host;
  const endpoint = checkEndpoint(destination);
  return endpoint.ok ? endpoint.host : undefined;
}

/** The host of a destination, for people. */
export const targetName = (aim: Aim): string => (pathHost(aim) ?? aim.destination).slice(0, 120);

const family = ({ ip_version }: Aim["params"]): object => (ip_version === 4 || ip_version === 6 ? { ip_version } : {});

/**
 * A path that is seen within six seconds: two flows, so that parallel ways show; of three protocols two have their turn where the
 * first one finds six silent hops. `method` is the one that reached the target before, which then has the whole time.
 */
export function pathJob(host: string, params: Aim["params"], method: string | null = null): Job {
  const wanted = ipVersion(host) === 0 ? family(params) : {};
  const by = method === "udp" || method === "icmp" || method === "tcp" ? { method } : {};
  return {
    type: "traceroute",
    destination: host,
    params: { flows: 2, timeout: 0.7, deadline: 6, names: false, ...by, ...wanted },
  };
}

/** A path that nothing has failed for yet: it may take the time that every protocol needs. */
export function baselineJob(host: string, params: Aim["params"]): Job {
  const { type, destination, params: quick } = pathJob(host, params);
  return { type, destination, params: { ...quick, timeout: 1, deadline: 20 } };
}

const cap = (value: unknown, most: number): number => Math.min(typeof value === "number" ? value : most, most);

/**
 * A quick look at the target for a client that has no fresh result of the test: the test itself made short where that is cheap and
 * gives nothing away, else a ping of its host.
 */
export function quickCheck(aim: Aim): Job | undefined {
  const { type, destination, params } = aim;
  const same = (change: object): Job => ({ type, destination, params: { ...params, ...change } });
  if (type === "tcp") return same({ count: 1, send_bytes: 0, timeout: cap(params.timeout, 3) });
  if (type === "tls") return same({ check_versions: false, timeout: cap(params.timeout, 5) });
  if (type === "dns") return same({ count: 1, tries: 1, timeout: cap(params.timeout, 3) });
  // Headers may hold what only the test's own clients should send.
  if (type === "http" && params.headers === undefined) return same({ reuse: false, timeout: cap(params.timeout, 6) });
  const host = pathHost(aim);
  if (host === undefined) return undefined;
  const wanted = ipVersion(host) === 0 ? family(params) : {};
  return { type: "ping", destination: host, params: { count: 4, interval: 0.2, timeout: 1.5, ...wanted } };
}
