// The edge's own look at a target: a request or a TCP connection, to what is on the public internet only. On an edge that runs on
// somebody's own machine private addresses are its neighbourhood and allowed.
import { connect } from "cloudflare:sockets";
import { checkHost, ipVersion } from "#contract/destination";
import type { EdgeCheck } from "#contract/events";
import { statusFits } from "#contract/test-types/http";
import { isCloudflare, isLinkLocal, isMetadataName, isPublicAddress, mayBePublic } from "../analysis/public-address.ts";
import type { EdgeAim } from "../analysis/witness-plan.ts";
import { rfc3339 } from "../time.ts";

const FETCH_MS = 4000;
const CONNECT_MS = 2000;
const LOOKUP_MS = 1500;
/** Statuses by which Cloudflare says that it did not reach the server behind an address. */
const UNREACHED = { from: 520, to: 530 } as const;
const RESOLVER = "https://cloudflare-dns.com/dns-query";
/** Workers open no connection to mail servers. */
const SMTP = 25;

type Target = Extract<EdgeAim, { host: string }>;

export interface EdgeSurroundings {
  /** Whether this edge runs on one machine (`npm start`). */
  readonly local: boolean;
  /** Host and port under which clients reach this edge, when known: it cannot witness for itself. */
  readonly own: string | undefined;
  /** Addresses the public DNS holds of a name; undefined when it did not answer. */
  readonly lookup?: (name: string) => Promise<string[] | undefined>;
}

const EMPTY: EdgeCheck = {
  state: "not_possible",
  method: null,
  target: null,
  at: null,
  duration_ms: null,
  alive: null,
  http_status: null,
  says: "",
};

export const PENDING_CHECK: EdgeCheck = { ...EMPTY, state: "pending", says: "The server is looking." };
export const INTERRUPTED_CHECK: EdgeCheck = { ...EMPTY, says: "The server was interrupted while it looked." };

/** Looks at the target once. Ends within 7.5 s, never throws. */
export async function checkFromEdge(aim: EdgeAim, around: EdgeSurroundings): Promise<EdgeCheck> {
  if (aim.kind === "none") return { ...EMPTY, state: "not_applicable", says: aim.says };
  if (isOwn(aim, around.own)) return { ...EMPTY, state: "not_applicable", says: "The target is this server itself." };
  const way = await wayTo(aim, around);
  if (typeof way !== "string") return { ...EMPTY, says: way.objection };
  const start = Date.now();
  const found = aim.kind === "fetch" ? await tryFetch(aim, way) : await tryConnect(way, aim.ports, aim.host);
  const target = aim.kind === "fetch" ? withoutQuery(aim.url) : `${bracketed(aim.host)}:${aim.ports.join(" and ")}`;
  return { ...EMPTY, method: aim.kind, target, at: rfc3339(start), duration_ms: Date.now() - start, ...found };
}

function isOwn(aim: Target, own: string | undefined): boolean {
  if (own === undefined || !URL.canParse(`http://${own}`)) return false;
  const { hostname, port } = new URL(`http://${own}`);
  // At Cloudflare a Worker's own name leads past the Worker on every port.
  if (ipVersion(hostname.replace(/^\[|\]$/g, "")) === 0 && hostname === aim.host) return true;
  const ports = aim.kind === "fetch" ? [aim.port] : aim.ports;
  return hostname === bracketed(aim.host) && ports.includes(Number(port || 80));
}

/** The address (or on a local edge the name) to connect to, or why there is none. */
async function wayTo(aim: Target, { local, lookup = publicDns }: EdgeSurroundings): Promise<string | { objection: string }> {
  const { host } = aim;
  if (!checkHost(host).ok || isMetadataName(host) || (ipVersion(host) !== 0 && isLinkLocal(host))) {
    return { objection: `${host} is never asked by the server.` };
  }
  if (local) return host;
  if (!mayBePublic(host)) return { objection: `${host} is not on the public internet, where the server stands.` };
  const addresses = ipVersion(host) === 0 ? await lookup(host) : [host];
  if (addresses === undefined) return { objection: `The public DNS did not answer for ${host}.` };
  if (addresses.length === 0) return { objection: `The public DNS holds no address of ${host}.` };
  if (!addresses.every(isPublicAddress)) return { objection: `${host} leads to an address that is not on the public internet.` };
  // A request finds its own way, also to what stands behind Cloudflare.
  if (aim.kind === "fetch") return host;
  if (aim.ports.includes(SMTP)) return { objection: "The server may not connect to port 25." };
  const open = addresses.find((address) => !isCloudflare(address));
  return open ?? { objection: `${host} stands at Cloudflare, to which the server cannot open TCP connections.` };
}

/** Asks the public DNS over HTTPS (application/dns-json). */
async function publicDns(name: string): Promise<string[] | undefined> {
  const ask = async (type: "A" | "AAAA") => {
    const response = await fetch(`${RESOLVER}?name=${encodeURIComponent(name)}&type=${type}`, {
      headers: { accept: "application/dns-json" },
      signal: AbortSignal.timeout(LOOKUP_MS),
    });
    const { Answer = [] } = (await response.json()) as { Answer?: { data?: unknown }[] };
    return Answer.flatMap(({ data }) => (typeof data === "string" && ipVersion(data) !== 0 ? [data] : []));
  };
  try {
    return (await Promise.all([ask("A"), ask("AAAA")])).flat();
  } catch {
    return undefined; // Told as what was not possible.
  }
}

type Found = Pick<EdgeCheck, "state" | "says"> & Partial<Pick<EdgeCheck, "alive" | "http_status">>;

async function tryFetch(aim: Extract<EdgeAim, { kind: "fetch" }>, way: string): Promise<Found> {
  try {
    const response = await fetch(aim.url, {
      method: "GET",
      // A redirect may lead anywhere, also to where the server must not ask.
      redirect: "manual",
      headers: { "user-agent": "StreamSwarm" },
      signal: AbortSignal.timeout(FETCH_MS),
    });
    await response.body?.cancel();
    return judgeStatus(response.status, aim.expect);
  } catch (error) {
    const { alive = null } = await tryConnect(way, [aim.port], aim.host);
    const how = timedOut(error) ? `no answer within ${FETCH_MS / 1000} s` : "the request failed";
    return { state: "failed", alive, says: alive ? `The host takes connections, but ${how}.` : `Asked by the server, ${how}.` };
  }
}

function judgeStatus(status: number, expect: string | null): Found {
  const told = { http_status: status, says: `The server got HTTP status ${status}.` };
  if (status >= UNREACHED.from && status <= UNREACHED.to && !(expect !== null && statusFits(status, expect))) {
    return { ...told, state: "failed", alive: null };
  }
  const redirect = status >= 300 && status < 400;
  return { ...told, state: redirect || statusFits(status, expect ?? "2xx") ? "ok" : "failed", alive: true };
}

/** Tries the ports side by side; one that opens is enough. The runtime does not tell a refused connection from a lost one. */
async function tryConnect(address: string, ports: readonly number[], host: string): Promise<Found> {
  const name = (port: number) => `${bracketed(host)}:${port}`;
  try {
    const port = await Promise.any(ports.map((one) => opens(address, one)));
    return { state: "ok", alive: true, says: `The server connected to ${name(port)}.` };
  } catch {
    const says = `The server got no TCP connection to ${ports.map(name).join(" and ")}.`;
    return { state: "failed", alive: null, says };
  }
}

async function opens(address: string, port: number): Promise<number> {
  const socket = connect({ hostname: bracketed(address), port }, { secureTransport: "off", allowHalfOpen: false });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no connection in time")), CONNECT_MS);
  });
  try {
    await Promise.race([socket.opened, late]);
    return port;
  } finally {
    clearTimeout(timer);
    // How a connection ends that was only to be opened, or never was, matters to nobody.
    socket.closed.catch(() => undefined);
    socket.close().catch(() => undefined);
  }
}

const timedOut = (error: unknown): boolean => error instanceof Error && /^(?:TimeoutError|AbortError)$/.test(error.name);
const bracketed = (host: string): string => (ipVersion(host) === 6 ? `[${host}]` : host);
const withoutQuery = (url: string): string => url.replace(/[?#].*$/, "").slice(0, 300);
