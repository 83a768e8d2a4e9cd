// A packet larger than what this host's kernel remembers of the path: traceroute sends it all the same (IP_PMTUDISC_PROBE).
import { sameAddress } from "../address.ts";
import { findTool, runTool } from "../exec.ts";
import { parseSizedTraceroute } from "../parsers/traceroute-mtu.ts";

/** Probes of one burst, and a TTL no path is longer than. */
const PROBES = 6;
const FAR_TTL = "64";
const SECOND = 1000;

export interface Refusal {
  readonly size: number;
  readonly from: string;
  /** Next hop's MTU, bytes; null where the message names none. */
  readonly mtu: number | null;
}

/** One burst of packets of one size, by UDP, so that no privilege is needed; its silence proves nothing. */
export class BeyondBurst {
  readonly size: number;
  passed = false;
  refusal: Refusal | null = null;
  /** Largest packet that may leave this host at all, when ours was larger, bytes. */
  hostLimit: number | null = null;
  sent = 0;
  running = true;
  readonly ended: Promise<void>;

  constructor(order: { file: string; address: string; size: number; wait_ms: number; signal: AbortSignal }, onEvent: () => void) {
    this.size = order.size;
    const wait = String(Math.round(order.wait_ms) / SECOND);
    const count = String(PROBES);
    this.ended = runTool({
      file: order.file,
      args: [
        "-n",
        "-F",
        "-f",
        FAR_TTL,
        "-m",
        FAR_TTL,
        "-q",
        count,
        "-N",
        count,
        "-w",
        wait,
        "--",
        order.address,
        String(order.size),
      ],
      timeout_ms: order.wait_ms + SECOND,
      grace_ms: 100,
      signal: order.signal,
    }).then((run) => {
      for (const answer of parseSizedTraceroute(run.stdout)) {
        this.sent += 1;
        if (sameAddress(answer.from, order.address) && answer.error === null && !answer.tooBig) this.passed = true;
        if (answer.from === null && answer.mtu !== null) this.hostLimit = answer.mtu;
        if (answer.from !== null && answer.tooBig) this.refusal = { size: order.size, from: answer.from, mtu: answer.mtu };
      }
      this.running = false;
      onEvent();
    });
  }
}

/** The traceroute that can do that, or undefined. */
export const beyondTool = (): string | undefined => (process.platform === "linux" ? findTool("traceroute") : undefined);
