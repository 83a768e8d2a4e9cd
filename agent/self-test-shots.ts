// Single questions of the self-test. Each ends with what came back, or why nothing did, and never rejects.
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import type { Reason } from "#contract/metrics";
import type { Codec, Question } from "./dns/codec.ts";
import { udpSession } from "./dns/udp.ts";
import { findTool, runTool } from "./exec.ts";
import type { Gateway, Resolver } from "./self-test-targets.ts";
import { round3 } from "./statistics.ts";

/** Something came back. */
export interface Hit {
  readonly hit: true;
  readonly target: string;
  /** Milliseconds; null where only the kernel knows that it came back. */
  readonly ms: number | null;
  readonly how: string;
}
export interface Miss {
  readonly hit: false;
  readonly how: string;
  readonly reason: Extract<Reason, "timeout" | "no_route">;
}
export type Shot = (signal: AbortSignal) => Promise<Hit | Miss>;

export const SILENT: Miss = { hit: false, how: "no answer", reason: "timeout" };
const NO_ROUTE = ["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EHOSTDOWN", "EADDRNOTAVAIL", "EACCES", "EPERM"];

const missOf = (code: string): Miss =>
  NO_ROUTE.includes(code)
    ? { hit: false, how: `no route (${code})`, reason: "no_route" }
    : { ...SILENT, how: `no answer (${code})` };

/**
 * A TCP connection to a literal, closed at once. A refusal is an answer too, except from this host itself (`local`): that says
 * only that nothing listens.
 */
export const connectShot =
  (address: string, port: number, local = false): Shot =>
  (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve(SILENT);
      const start = performance.now();
      const socket = connect({ host: address, port });
      const finish = (end: Hit | Miss) => {
        signal.removeEventListener("abort", expire);
        socket.destroy();
        resolve(end);
      };
      const came = (how: string): Hit => ({ hit: true, target: address, ms: round3(performance.now() - start), how });
      const expire = () => finish(SILENT);
      signal.addEventListener("abort", expire, { once: true });
      socket.once("connect", () => finish(came(`accepts TCP port ${port}`)));
      // Stays: a socket may fail once more after it was given up.
      socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => {
        if (code === "ECONNRESET" || (code === "ECONNREFUSED" && !local)) finish(came(`refuses TCP port ${port}`));
        else if (code === "ECONNREFUSED") finish({ ...SILENT, how: "nothing listens there" });
        else finish(missOf(code));
      });
    });

/** The name servers of the root: in every resolver's cache, and nobody's secret. */
const ROOT: Question = { name: ".", type: "NS", recursion: true, dnssec: false };

/** One query over UDP. Any answer counts, a refusal too: it came over the network. */
export const resolverShot =
  ({ address, port }: Resolver, codec: Codec): Shot =>
  async (signal) => {
    const start = performance.now();
    const server = { label: address, address, port, transport: "udp", servername: undefined, url: undefined } as const;
    const answer = await udpSession({ server, question: ROOT, codec }).ask(signal);
    if (answer.ok) return { hit: true, target: address, ms: answer.query_ms, how: `answers ${answer.reply.rcode}` };
    const ms = round3(performance.now() - start);
    if (answer.kind === "refused") return { hit: true, target: address, ms, how: "refuses UDP port 53" };
    if (answer.kind === "bad_response" && answer.connected) return { hit: true, target: address, ms, how: "answers no DNS" };
    const lost = answer.kind === "no_route" || answer.kind === "unreachable";
    return { hit: false, how: lost ? "no route" : "no answer", reason: lost ? "no_route" : "timeout" };
  };

/** One echo request. */
export const pingShot =
  (address: string): Shot =>
  async (signal) => {
    const file = findTool("ping");
    if (file === undefined) return SILENT;
    const { stdout, stderr } = await runTool({
      file,
      args: ["-n", "-c", "1", "-W", "1", "--", address],
      timeout_ms: 1500,
      signal,
    });
    const time = /bytes from .*time[=<]([\d.]+) ?ms/.exec(stdout)?.[1];
    if (time !== undefined) return { hit: true, target: address, ms: Number(time), how: "answers ping" };
    return /unreachable|invalid argument/i.test(`${stdout}${stderr}`) ? missOf("ENETUNREACH") : SILENT;
  };

/** Seconds since the kernel last heard a neighbour, from `ip -s neigh`; undefined where it does not know it is there. */
export function neighbourAge(text: string): number | undefined {
  const line = text.split("\n").find((each) => /\bREACHABLE\b/.test(each));
  const age = /\bused \d+\/(\d+)\/\d+/.exec(line ?? "")?.[1];
  return age === undefined ? undefined : Number(age);
}

/** Ages come in whole seconds, rounded down: at this time one of 1 s was heard since, or so much before it at most. */
const NEIGHBOUR_AFTER_MS = 1900;
const NEIGHBOUR_SLACK_MS = 100;

/**
 * Whether the kernel heard the gateway on its link since `since` (performance.now()): for those that answer neither ping nor TCP.
 * Asked after packets were sent there, so that the kernel had a reason to look.
 */
export const neighbourShot =
  ({ address, device }: Gateway, since: number): Shot =>
  async (signal) => {
    const file = findTool("ip");
    const [literal = address] = address.split("%");
    if (file === undefined) return SILENT;
    const wait = Math.max(0, since + NEIGHBOUR_AFTER_MS - performance.now());
    await pause(wait, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return SILENT;
    const run = await runTool({ file, args: ["-s", "neigh", "show", "to", literal, "dev", device], timeout_ms: 500, signal });
    const age = neighbourAge(run.stdout);
    if (age === undefined || (age + 1) * 1000 > performance.now() - since + NEIGHBOUR_SLACK_MS) return SILENT;
    return { hit: true, target: address, ms: null, how: "is heard on the link" };
  };

/** The first of these that hits, or undefined as soon as all have missed. */
function firstHit(flying: readonly Promise<Hit | Miss>[]): Promise<Hit | undefined> {
  return new Promise((resolve) => {
    let left = flying.length;
    const landed = (end: Hit | Miss) => {
      left -= 1;
      if (end.hit) resolve(end);
      else if (left === 0) resolve(undefined);
    };
    for (const shot of flying) void shot.then(landed);
    if (left === 0) resolve(undefined);
  });
}

/** How long the first volley has before the next is sent, and the last before all is over. */
const FIRST_MS = 1000;
const LAST_MS = 1200;

/** Sends one volley after the other until anything hits. All are called off when this ends, or by the signal. */
export async function ask(volleys: readonly (() => readonly Shot[])[], signal: AbortSignal): Promise<Hit | Miss> {
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) over.abort();
  const flying: Promise<Hit | Miss>[] = [];
  const missed: Miss[] = [];
  try {
    for (const [index, volley] of volleys.entries()) {
      if (over.signal.aborted) break;
      for (const shot of volley()) {
        const flight = shot(over.signal);
        flying.push(flight);
        void flight.then((end) => end.hit || missed.push(end));
      }
      const timer = new AbortController();
      const wait = pause(index === 0 ? FIRST_MS : LAST_MS, undefined, { signal: timer.signal }).catch(() => undefined);
      const hit = await Promise.race([firstHit(flying), wait]);
      timer.abort();
      if (hit?.hit) return hit;
    }
    return missed.find(({ reason }) => reason === "no_route") ?? missed[0] ?? SILENT;
  } finally {
    signal.removeEventListener("abort", end);
    over.abort();
  }
}
