// Round trips by TCP handshake, for hosts on which ICMP is not permitted or ping is missing. An accepted and a refused
// connection (RST) both answer a SYN, so both time a round trip; nothing is sent on the connection.
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as after } from "node:timers/promises";

/** Ports tried, the better first. */
const PORTS = [443, 80] as const;
/** A SYN without an answer is sent again after 1 s (RFC 6298, 2): a later answer may be to the second and times nothing. */
const RETRANSMISSION_MS = 1000;
/** How long port 443 may be slower than port 80 and still be taken, milliseconds. */
const PREFERENCE_MS = 150;

export interface TcpPingOrder {
  /** An address literal. */
  readonly address: string;
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
}

/** Time from SYN to SYN/ACK or RST in milliseconds; null when neither came in time or the network said it cannot reach the host. */
function handshake(address: string, port: number, timeout_ms: number, signal: AbortSignal): Promise<number | null> {
  return new Promise((resolve) => {
    const start = performance.now();
    const socket = connect({ host: address, port });
    const finish = (answered: boolean) => {
      const took = performance.now() - start;
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      socket.removeAllListeners().on("error", () => socket.destroy());
      socket.resetAndDestroy();
      resolve(answered && took < timeout_ms ? took : null);
    };
    const stop = () => finish(false);
    const timer = setTimeout(stop, timeout_ms);
    signal.addEventListener("abort", stop, { once: true });
    socket.once("connect", () => finish(true));
    socket.once("error", (error: NodeJS.ErrnoException) => finish(error.code === "ECONNREFUSED"));
    if (signal.aborted) stop();
  });
}

/** The port to measure: 443 unless only 80 answers. This first round also warms up what the first connection of a process costs. */
async function choosePort(order: TcpPingOrder, timeout_ms: number): Promise<number | undefined> {
  const [secure, plain] = PORTS;
  const chosen = new AbortController();
  const signal = AbortSignal.any([order.signal, chosen.signal]);
  const first = handshake(order.address, secure, timeout_ms, signal);
  const second = handshake(order.address, plain, timeout_ms, signal);
  const preferred = first.then((rtt) => (rtt === null ? undefined : secure));
  const other = second.then(async (rtt) => {
    if (rtt === null) return undefined;
    await after(PREFERENCE_MS, undefined, { signal }).catch(() => undefined);
    return plain;
  });
  const port = (await Promise.race([preferred, other])) ?? (await preferred) ?? (await other);
  chosen.abort();
  return port;
}

/** Waits until a moment of the monotonic clock; false when stopped before. */
async function until(moment: number, signal: AbortSignal): Promise<boolean> {
  const wait = moment - performance.now();
  if (wait > 0) await after(wait, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** `count` handshakes on an absolute schedule. Ends with what it has when stopped. */
export async function tcpPing(order: TcpPingOrder): Promise<TcpPingRun> {
  const timeout_ms = Math.min(order.timeout * 1000, RETRANSMISSION_MS - 10);
  const port = await choosePort(order, timeout_ms);
  if (port === undefined) return { port: null, rtts: [] };
  const start = performance.now();
  const running: Promise<number | null>[] = [];
  for (let index = 0; index < order.count; index++) {
    if (!(await until(start + index * order.interval * 1000, order.signal))) break;
    const answer = handshake(order.address, port, timeout_ms, order.signal).then((rtt) => {
      order.onAnswer?.(index, rtt, port);
      return rtt;
    });
    running.push(answer);
  }
  return { port, rtts: await Promise.all(running) };
}
