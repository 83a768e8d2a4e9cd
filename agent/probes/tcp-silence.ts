// A SYN that nobody answers: is the host alive behind a firewall, or is there nobody?

import { runTool } from "../exec.ts";
import { dial, type Endpoint, type Failure, hangUp, showEndpoint } from "./endpoint.ts";
import { pingAdapter } from "./ping.ts";

/** How the host showed that it is alive, and how long its answer took at most, ms; undefined where it did not. */
export type SignOfLife =
  | { readonly by: "echo"; readonly ms: number }
  | { readonly by: "port"; readonly port: number; readonly ms: number };

/** A SYN unanswered for so long is suspicious; or for this share of a shorter time-out. */
const PATIENCE_MS = 1000;
const PATIENCE_SHARE = 0.4;
const WAIT_S = 2;
const GRACE_MS = 100;
/** Smallest payload that carries iputils' time stamp. */
const PAYLOAD = 56;

export interface Watch {
  /** Ends the search; what it has found until now. */
  end(): Promise<SignOfLife | undefined>;
}

/** Looks for a sign of life while a connect waits, once `unanswered` has been true for a second. */
export function watchSilence(endpoint: Endpoint, timeout_ms: number, unanswered: () => boolean, signal: AbortSignal): Watch {
  const over = new AbortController();
  let search: Promise<SignOfLife | undefined> = Promise.resolve(undefined);
  const timer = setTimeout(
    () => {
      if (!unanswered()) return;
      search = signOfLife(endpoint, AbortSignal.any([signal, over.signal]));
      // Whoever ends the search hears of its failure, maybe long after it failed.
      search.catch(() => undefined);
    },
    Math.min(PATIENCE_MS, timeout_ms * PATIENCE_SHARE),
  );
  return {
    end: () => {
      clearTimeout(timer);
      over.abort();
      return search;
    },
  };
}

/** The kernel sends a SYN again after this long (RFC 6298 2.1). */
const SYN_AGAIN_MS = 1000;

/**
 * What silence means: a firewall's doing where the host answers something else sooner than each connect was waited for, and more
 * than one SYN was lost, since a single one may have met with an accident.
 */
export function silenceOf(
  failure: Failure,
  endpoint: Endpoint,
  alive: SignOfLife | undefined,
  waited: { connects: number; timeout_ms: number },
): Failure {
  if (alive === undefined) {
    const message = `${failure.error.message}, and the host gave no other sign of life; look at its power and at the way there`;
    return { ...failure, error: { ...failure.error, message } };
  }
  if (alive.ms >= waited.timeout_ms) {
    const message = `${failure.error.message}; the host is alive, but ${alive.ms.toFixed(0)} ms away: allow more time with --timeout`;
    return { ...failure, error: { ...failure.error, message } };
  }
  const syns = waited.connects * (1 + Math.floor(waited.timeout_ms / SYN_AGAIN_MS));
  if (syns < 2) {
    const message = `${failure.error.message}; the host is alive, and one SYN may get lost: try again, or wait longer with --timeout`;
    return { ...failure, error: { ...failure.error, message } };
  }
  const proof = alive.by === "echo" ? "answers echo requests" : `answers on port ${alive.port}`;
  const message = `${showEndpoint(endpoint)} does not answer the SYN, but the host ${proof}: a firewall drops connections to port ${endpoint.port}`;
  return { error: { code: "filtered", source: "network", message }, reason: "timeout" };
}

/** Sends one echo request and one SYN to another port, and takes the first answer. Ends with the signal at the latest. */
async function signOfLife(endpoint: Endpoint, signal: AbortSignal): Promise<SignOfLife | undefined> {
  const answered = new AbortController();
  const both = AbortSignal.any([signal, answered.signal]);
  const tries = [echo(endpoint, both), otherPort(endpoint, both)];
  const waiting = new Map(tries.map((each, i) => [i, each.then((sign) => ({ i, sign }))]));
  let found: SignOfLife | undefined;
  while (found === undefined && waiting.size > 0) {
    const { i, sign } = await Promise.race(waiting.values());
    waiting.delete(i);
    found = sign;
  }
  answered.abort();
  await Promise.all(tries);
  return found;
}

async function echo({ address }: Endpoint, signal: AbortSignal): Promise<SignOfLife | undefined> {
  const adapter = pingAdapter();
  const tool = await adapter.find();
  if (tool === undefined) return undefined;
  const command = adapter.command(tool, { address, count: 1, interval: 1, timeout: WAIT_S, packet_size: PAYLOAD });
  if ("unsupported" in command) return undefined;
  const run = await runTool({ ...command, timeout_ms: (WAIT_S + 1) * 1000, grace_ms: GRACE_MS, signal });
  const [ms] = adapter.parse(run, tool).replies.flatMap((reply) => (reply.damaged ? [] : (reply.rtt ?? reply.under ?? [])));
  return ms === undefined ? undefined : { by: "echo", ms };
}

async function otherPort(endpoint: Endpoint, signal: AbortSignal): Promise<SignOfLife | undefined> {
  const port = endpoint.port === 443 ? 80 : 443;
  const { socket, outcome } = dial({ ...endpoint, port }, WAIT_S * 1000, signal);
  const dialled = await outcome;
  hangUp(socket);
  const answered = dialled.kind === "connected" || (dialled.kind === "error" && dialled.errno === "ECONNREFUSED");
  return answered ? { by: "port", port, ms: dialled.ms } : undefined;
}
