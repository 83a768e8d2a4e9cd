// Asks one resolver all the queries of a run, on schedule, with its tries and the second attempt over TCP that truncation needs.
import { performance } from "node:perf_hooks";
import type { DnsParams, DnsTransport } from "#contract/test-types/dns";
import type { Budget } from "../budget.ts";
import { round3 } from "../statistics.ts";
import { waitUntil } from "../wait.ts";
import type { Secure } from "./connect.ts";
import type { Answered, Connect, Exchange, Failure, Order, Session } from "./exchange.ts";
import { udpSession } from "./udp.ts";
import { warmTcp, warmUdp } from "./warm-up.ts";

/** The first answer of a query that had to be asked again over TCP. */
export interface Truncated {
  readonly udp_ms: number;
  readonly udp_bytes: number;
}

/** How one query ended. */
export interface Query {
  readonly exchange: Exchange;
  readonly tries: number;
  /** The transport that brought the answer. */
  readonly transport: DnsTransport;
  readonly truncated: Truncated | null;
  /** Query sent to usable answer, over UDP and TCP together, without connection set-up; null without an answer. */
  readonly query_ms: number | null;
}

/** The outcome of a query in one word, or null where none fits (a broken certificate, an unreadable answer). */
export function outcomeOf({ exchange }: Query): string | null {
  if (exchange.ok) return exchange.reply.rcode;
  if (exchange.kind === "timeout") return "TIMEOUT";
  return ["refused", "unreachable", "no_route", "reset"].includes(exchange.kind) ? "UNREACHABLE" : null;
}

async function sessionOf(order: Order): Promise<Session> {
  switch (order.server.transport) {
    case "udp":
      await warmUdp(order.codec);
      return udpSession(order);
    case "https": {
      const { HttpsSession } = await import("./https.ts");
      await warmTcp();
      return new HttpsSession(order, await readyForTls(["h2", "http/1.1"]));
    }
    default:
      return openStream(order);
  }
}

async function openStream(order: Order): Promise<Session> {
  const { StreamSession } = await import("./stream.ts");
  await warmTcp();
  // RFC 7858 3.1 asks for no protocol name; those who register one call it "dot".
  return new StreamSession(order, order.server.transport === "tls" ? await readyForTls(["dot"]) : undefined);
}

/** Loading TLS and the trusted certificates takes longer than many a handshake: it is done before any try's time runs. */
async function readyForTls(alpn: readonly string[]): Promise<Secure> {
  const { prepareTls } = await import("./secure.ts");
  return prepareTls(alpn);
}

/** The whole answer over TCP after a truncated one (RFC 7766 5), in what is left of the try. */
async function overTcp(order: Order, cut: Answered, tries: number, signal: AbortSignal): Promise<Query> {
  const session = await openStream({ ...order, server: { ...order.server, transport: "tcp" } });
  const exchange = await session.ask(signal);
  session.close();
  const told: Exchange = exchange.ok
    ? exchange
    : { ...exchange, message: `the answer was truncated over UDP, and over TCP ${exchange.message}` };
  return {
    exchange: told,
    tries,
    transport: "tcp",
    truncated: { udp_ms: cut.query_ms, udp_bytes: cut.reply.bytes },
    query_ms: exchange.ok ? round3(cut.query_ms + exchange.query_ms) : null,
  };
}

async function askOnce(order: Order, session: Session, params: DnsParams, budget: Budget): Promise<Query> {
  const { transport } = order.server;
  for (let tries = 1; ; tries++) {
    const { signal } = budget.part("query", params.timeout * 1000);
    const exchange = await session.ask(signal);
    if (exchange.ok && exchange.reply.tc && transport === "udp") return overTcp(order, exchange, tries, signal);
    const again = !exchange.ok && exchange.kind === "timeout" && tries < params.tries && !budget.over;
    if (again) continue;
    if (!exchange.ok && exchange.kind === "timeout") budget.hit("query");
    return { exchange, tries, transport, truncated: null, query_ms: exchange.ok ? exchange.query_ms : null };
  }
}

/** Every query to one server, in order; fewer than asked for when the run is stopped. */
export async function askServer(
  order: Order,
  params: DnsParams,
  budget: Budget,
  { ready, onQuery }: { ready: () => void; onQuery: (query: Query) => void },
): Promise<Query[]> {
  const session = await sessionOf(order);
  ready();
  const start = performance.now();
  const due = async (index: number): Promise<Query | undefined> => {
    // A stopped wait is no error: the query is not sent.
    await waitUntil(start + index * params.interval * 1000, budget.signal);
    if (budget.over) return undefined;
    const query = await askOnce(order, session, params, budget);
    onQuery(query);
    return query;
  };
  const queries = await Promise.all(Array.from({ length: params.count }, (_, index) => due(index)));
  session.close();
  return queries.filter((query) => query !== undefined);
}

/** The connection set-up of the first query that needed one. */
export const connectOf = (queries: readonly Query[]): Connect | null =>
  queries.map(({ exchange }) => exchange.connect).find((connect) => connect !== null) ?? null;

export const failuresOf = (queries: readonly Query[]): Failure[] =>
  queries.map(({ exchange }) => exchange).filter((exchange): exchange is Failure => !exchange.ok);
