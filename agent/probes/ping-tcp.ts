// Round trips by TCP handshake, for hosts on which ICMP is not permitted or ping is missing. An accepted and a refused
// connection (RST) both answer a SYN, so both time a round trip; nothing is sent on the connection.
import { performance } from "node:perf_hooks";
import { waitUntil } from "../wait.ts";
import { connectFailure, dial, type Failure, hangUp, saysNothing } from "./endpoint.ts";

/** Ports tried, the better first. */
const PORTS = [443, 80] as const;
/** A SYN without an answer is sent again after 1 s (RFC 6298, 2): a later answer may be to the second and times nothing. */
const RETRANSMISSION_MS = 1000;
/** How long port 443 may be slower than port 80 and still be taken, milliseconds. */
const PREFERENCE_MS = 150;

export interface TcpPingOrder {
  /** An address literal. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly count: number;
  /** Seconds. */
  readonly interval: number;
  /** Seconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  /** Every answer, or its absence, as it is known. Milliseconds. */
  readonly onAnswer?: (index: number, rtt: number | null, port: number) => void;
}

export interface TcpPingRun {
  /** null when neither port answered. */
  readonly port: number | null;
  /** Round trip by connection tried, ms; null where nothing answered in time. */
  readonly rtts: readonly (number | null)[];
  /** Connections this host itself could not try: they are in no other figure. */
  readonly untried: number;
  /** Why it could not try the first of them. */
  readonly obstacle: Failure | null;
}

/**
 * Time from SYN to SYN/ACK or RST in milliseconds; null when neither came in time or the network said it cannot reach the host; a
 * failure when this host itself could not try; undefined when the run ended first.
 */
async function handshake(order: TcpPingOrder, port: number, timeout_ms: number, signal: AbortSignal): Promise<Shaken> {
  const { address, family } = order;
  const { socket, outcome } = dial({ address, family, port }, timeout_ms, signal);
  const dialled = await outcome;
  hangUp(socket);
  if (dialled.kind === "stopped") return undefined;
  if (dialled.kind === "error" && saysNothing(dialled)) return connectFailure(dialled, { address, family, port });
  const answered = dialled.kind === "connected" || (dialled.kind === "error" && dialled.errno === "ECONNREFUSED");
  return answered && dialled.ms < timeout_ms ? dialled.ms : null;
}

type Shaken = number | null | Failure | undefined;

const isAnswer = (shaken: Shaken): shaken is number | null => typeof shaken === "number" || shaken === null;
const isFailure = (shaken: Shaken): shaken is Failure => typeof shaken === "object" && shaken !== null;

/** The port to measure: 443 unless only 80 answers. This first round also warms up what the first connection of a process costs. */
async function choosePort(order: TcpPingOrder, timeout_ms: number): Promise<number | Failure | undefined> {
  const [secure, plain] = PORTS;
  const chosen = new AbortController();
  const signal = AbortSignal.any([order.signal, chosen.signal]);
  const first = handshake(order, secure, timeout_ms, signal);
  const second = handshake(order, plain, timeout_ms, signal);
  const preferred = first.then((shaken) => (typeof shaken === "number" ? secure : undefined));
  const other = second.then(async (shaken) => {
    if (typeof shaken !== "number") return undefined;
    await waitUntil(performance.now() + PREFERENCE_MS, signal);
    return plain;
  });
  const port = (await Promise.race([preferred, other])) ?? (await preferred) ?? (await other);
  chosen.abort();
  if (port !== undefined) return port;
  const failures = (await Promise.all([first, second])).filter(isFailure);
  return failures.length === PORTS.length ? failures[0] : undefined;
}

/** `count` handshakes on an absolute schedule. Ends with what it has when stopped. */
export async function tcpPing(order: TcpPingOrder): Promise<TcpPingRun> {
  const timeout_ms = Math.min(order.timeout * 1000, RETRANSMISSION_MS - 10);
  const port = await choosePort(order, timeout_ms);
  if (typeof port !== "number") return { port: null, rtts: [], untried: 0, obstacle: port ?? null };
  const start = performance.now();
  const running: Promise<Shaken>[] = [];
  for (let index = 0; index < order.count; index++) {
    if (!(await waitUntil(start + index * order.interval * 1000, order.signal))) break;
    const answer = handshake(order, port, timeout_ms, order.signal).then((shaken) => {
      if (isAnswer(shaken)) order.onAnswer?.(index, shaken, port);
      return shaken;
    });
    running.push(answer);
  }
  const shaken = await Promise.all(running);
  const failures = shaken.filter(isFailure);
  return { port, rtts: shaken.filter(isAnswer), untried: failures.length, obstacle: failures[0] ?? null };
}
