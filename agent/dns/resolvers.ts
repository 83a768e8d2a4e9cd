// Which servers a run speaks to: those it names, or the system's own.
import { createHash } from "node:crypto";
import { Resolver } from "node:dns";
import { isIP } from "node:net";
import type { ErrorCode } from "#contract/result";
import { DNS_RESOLVERS_MAX, type DnsParams, type DnsResolver, dnsResolvers, dnsServer } from "#contract/test-types/dns";
import type { Budget } from "../budget.ts";
import { resolveHost } from "../resolve.ts";
import type { Server } from "./exchange.ts";

const USUAL_PORT = { udp: 53, tcp: 53, tls: 853, https: 443 } as const;

type Named = Exclude<DnsResolver, { kind: "system" }>;

/** A server to ask, or why it has no address. */
export type Candidate =
  | { ok: true; server: Server }
  | { ok: false; label: string; transport: Server["transport"]; code: ErrorCode; message: string };

/** Longest a resolver's own name may take to resolve, milliseconds. */
const NAME_MS = 2000;

/** The servers of resolv.conf(5), or what the system keeps instead, read anew: a roaming host changes them. */
export function systemServers(): { address: string; port: number }[] {
  return new Resolver().getServers().map((text) => {
    const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
    const [, address = text, port = "53"] = bracketed ?? (isIP(text) === 0 ? (/^(.*):(\d+)$/.exec(text) ?? []) : []);
    return { address, port: Number(port) };
  });
}

const HASH_DIGITS = 6;

/** A URL by its host: the path and query of an https resolver may be somebody's own token, and have no bounds. */
function urlLabel(url: string): string {
  const { origin, pathname, search } = new URL(url);
  const way = `${pathname}${search}`;
  if (way === "/dns-query") return `${origin}${way}`;
  return `${origin}/…${createHash("sha256").update(way).digest("hex").slice(0, HASH_DIGITS)}`;
}

/** The label people know a server by. */
function labelOf(resolver: Named): string {
  if (resolver.transport === "https") return urlLabel(resolver.url);
  if (resolver.port === USUAL_PORT[resolver.transport]) return resolver.host;
  return `${isIP(resolver.host) === 6 ? `[${resolver.host}]` : resolver.host}:${resolver.port}`;
}

const keyOf = (resolver: Named): string =>
  resolver.transport === "https" ? resolver.url : `${resolver.transport} ${labelOf(resolver)}`;

function expand(resolver: DnsResolver, params: DnsParams): Named[] {
  if (resolver.kind === "server") return [resolver];
  const own = systemServers().map(({ address, port }) => {
    const usual = params.transport === "udp" || params.transport === "tcp" ? port : undefined;
    return dnsServer(address, params.port ?? usual, params.transport);
  });
  return own.slice(0, resolver.all ? DNS_RESOLVERS_MAX : 1).filter((each) => each.kind === "server");
}

/** The resolvers of a run in their order, each once, the first as the one the metrics describe; names not yet resolved. */
export function planResolvers(params: DnsParams): Named[] {
  const listed = dnsResolvers(params);
  if (!listed.ok) return [];
  const unique = new Map(listed.resolvers.flatMap((each) => expand(each, params)).map((each) => [keyOf(each), each] as const));
  return [...unique.values()].slice(0, DNS_RESOLVERS_MAX);
}

/** The resolver's address. A name is resolved here, apart from any query time. */
export async function locate(resolver: Named, servername: string | undefined, budget: Budget): Promise<Candidate> {
  const label = labelOf(resolver);
  const { transport } = resolver;
  const named = isIP(resolver.host) === 0;
  const found = await resolveHost(resolver.host, undefined, named ? budget.part("resolver name", NAME_MS).signal : undefined);
  if (!found.ok) {
    const message = `the resolver's own name could not be resolved: ${found.message}`;
    return { ok: false, label, transport, code: found.code, message };
  }
  return {
    ok: true,
    server: {
      label,
      address: found.address,
      port: resolver.port,
      transport,
      servername: servername ?? (named ? resolver.host : undefined),
      url: resolver.transport === "https" ? resolver.url : undefined,
    },
  };
}
