// Before the load: the round trip of the idle line, and what its interface carries already.
import { performance } from "node:perf_hooks";
import { type Dialled, type Peer, warmUp } from "../probes/endpoint.ts";
import type { KernelReader } from "../probes/tcp-kernel.ts";
import { median } from "../statistics.ts";
import { waitUntil } from "../wait.ts";
import type { Allowance } from "./allowance.ts";
import { interfaceOf, type Traffic, TrafficWatch } from "./busy.ts";
import { HANDSHAKE_BYTES, type Handshake, Handshakes } from "./handshakes.ts";

const CONNECTS = 20;
const EVERY_MS = 50;
/** How long an interface is watched at least. */
const WATCH_MS = 1000;

export interface Idle {
  readonly rtt_ms: number | undefined;
  readonly handshakes: readonly Handshake[];
  /** undefined where the interface's counters cannot be read. */
  readonly traffic: Traffic | undefined;
  /** Why no connection could be made. */
  readonly failed: Exclude<Dialled, { kind: "connected" }> | undefined;
}

export interface IdleOrder {
  readonly peer: Peer;
  readonly bytes: Allowance;
  readonly kernel: KernelReader;
  readonly timeout_ms: number;
  readonly signal: AbortSignal;
}

/** Twenty handshakes in a second. With a dead target it ends after the first one's time-out. */
export async function measureIdle({ peer, bytes, kernel, timeout_ms, signal }: IdleOrder): Promise<Idle> {
  await warmUp();
  const began = performance.now();
  const order = { every_ms: EVERY_MS, most: CONNECTS, timeout_ms, allow: () => bytes.take(HANDSHAKE_BYTES) };
  const handshakes = new Handshakes(peer, order, signal);
  const watch = watchInterface(handshakes);
  handshakes.start();
  await handshakes.all();
  const asked = handshakes.open;
  if (asked.length > 0 && kernel.missing === undefined) handshakes.settle(await kernel.read(asked, peer.port), asked);
  handshakes.end();
  const times = handshakes.results.flatMap(({ rtt_ms }) => rtt_ms ?? []);
  const failed = times.length === 0 ? (handshakes.failed ?? { kind: "stopped" as const, ms: 0 }) : undefined;
  if (failed === undefined) await waitUntil(began + WATCH_MS, signal);
  return { rtt_ms: median(times), handshakes: handshakes.results, traffic: await watch(), failed };
}

/** Watches the interface of the first connection from when that is known. */
function watchInterface(handshakes: Handshakes): () => Promise<Traffic | undefined> {
  let watch: TrafficWatch | undefined;
  const timer = setInterval(() => {
    if (handshakes.localAddress === undefined) return;
    clearInterval(timer);
    const name = interfaceOf(handshakes.localAddress);
    if (name !== undefined) watch = new TrafficWatch(name);
  }, EVERY_MS / 2);
  return async () => {
    clearInterval(timer);
    return watch?.rates();
  };
}
