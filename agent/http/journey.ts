// A visit and the redirects it leads to, each on a fresh connection, each host checked before it is spoken to.

import { ipVersion } from "#contract/destination";
import { familyMismatch } from "#contract/test-types/define";
import { type HeaderLine, type HttpParams, requestHeaders } from "#contract/test-types/http";
import { VERSION } from "../version.ts";
import { acceptEncoding } from "./content.ts";
import { headerOf } from "./exchange.ts";
import { type Failure, failure } from "./failure.ts";
import type { Http2Module } from "./http2.ts";
import { isRedirect, nextTarget, quoted, type Target } from "./target.ts";
import { type PhaseName, type Visit, type VisitOrder, visit } from "./visit.ts";

export interface Journey {
  /** In order; the last one is the measured one. */
  readonly visits: readonly Visit[];
  readonly last: Visit;
  /** The last visit's order, to repeat its request. */
  readonly order: VisitOrder;
  /** What ended the journey before a final response. */
  readonly failure: Failure | null;
  readonly flags: readonly string[];
}

export interface JourneyOrder {
  readonly target: Target;
  readonly params: HttpParams;
  readonly http2: Http2Module | undefined;
  readonly signal: AbortSignal;
  /** Why this host's owner forbids a destination, or undefined. */
  readonly objection: (url: string) => string | undefined;
  readonly passed: (phase: PhaseName, visit: Visit) => void;
}

/** Request headers: the agent's own, and the test's, which only the server it names may see. */
function headersFor(target: Target, order: JourneyOrder): HeaderLine[] {
  const { params } = order;
  const headers = new Map([
    ["user-agent", `StreamSwarm/${VERSION}`],
    ["accept", "*/*"],
    ["accept-encoding", params.compression ? acceptEncoding() : "identity"],
  ]);
  const sameOrigin = target.scheme === order.target.scheme && target.authority === order.target.authority;
  if (sameOrigin) for (const { name, value } of requestHeaders(params.headers)) headers.set(name, value);
  return [...headers].map(([name, value]) => ({ name, value }));
}

/** Follows redirects to the final response. The last visit's connection is still open unless something failed. */
export async function travel(order: JourneyOrder): Promise<Journey> {
  const visits: Visit[] = [];
  let { target } = order;
  for (;;) {
    const step = { ...order, target, headers: headersFor(target, order) };
    const last = await visit(step);
    visits.push(last);
    const location = last.exchange === null ? undefined : headerOf(last.exchange.headers, "location");
    const moved = order.params.redirects > 0 && isRedirect(last.exchange?.status ?? 0, location);
    if (last.failure !== null || !moved) return { visits, last, order: step, failure: last.failure, flags: [] };
    last.connection?.close();
    const next = follow(order, visits, location);
    if ("failure" in next) return { visits, last, order: step, ...next };
    target = next.target;
  }
}

/** Where the redirect leads, unless it may not be followed. */
function follow(
  order: JourneyOrder,
  visits: readonly Visit[],
  location: string,
): { target: Target } | { failure: Failure; flags: string[] } {
  const refuse = (message: string, flags: string[] = [], source: "target" | "agent" = "target") => ({
    failure: failure("bad_response", source, message),
    flags,
  });
  const from = visits.at(-1)?.target ?? order.target;
  if (visits.length > order.params.redirects) {
    return refuse(`more than ${order.params.redirects} redirects; the next one leads to ${quoted(location)}`, ["redirect_limit"]);
  }
  const next = nextTarget(from, location);
  if (!next.ok) return refuse(next.message, [next.downgrade ? "https_downgrade" : "redirect_refused"]);
  const { target } = next;
  if (visits.some((earlier) => earlier.target.url === target.url)) {
    return refuse(`the redirects go in a circle, back to ${target.label}`, ["redirect_loop"]);
  }
  const [mismatch] = familyMismatch(ipVersion(target.host), order.params.ip_version);
  if (mismatch !== undefined)
    return refuse(`the redirect leads to ${target.host}; ip_version ${mismatch.message}`, ["redirect_refused"]);
  const objection = order.objection(target.url);
  if (objection !== undefined) return refuse(`the redirect leads to ${target.host}: ${objection}`, ["redirect_refused"], "agent");
  return { target };
}
