// What one phase of a bandwidth run is to do, and with what.
import type { KernelReader } from "../probes/tcp-kernel.ts";
import type { Share } from "./allowance.ts";
import type { TrafficWatch } from "./busy.ts";
import type { SpeedTarget } from "./target.ts";
import type { WirePeer } from "./wire.ts";

export interface PhaseOrder {
  readonly direction: "down" | "up";
  readonly streams: number;
  readonly duration_ms: number;
  readonly warm_up_ms: number;
  readonly timeout_ms: number;
  readonly target: SpeedTarget;
  readonly peer: WirePeer;
  readonly share: Share;
  readonly kernel: KernelReader;
  /** Where its bytes come in, for servers that send more than is asked for; undefined where that is not known. */
  readonly incoming: TrafficWatch | undefined;
  /** The round trip of the idle line, and the longest known before, ms. */
  readonly idle_ms: number;
  readonly rtt_ms: number;
  /** Whether round trips are measured meanwhile. */
  readonly latency: boolean;
  readonly signal: AbortSignal;
  /** The rate of the newest slice, Mbit/s, once there is one, and the share of the phase's time that is over. */
  onTick(mbps: number | undefined, done: number): void;
}
