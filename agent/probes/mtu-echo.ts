// One stream of echo requests of one size, sent until it is stopped: what came back, who refused, what vanished.
import { performance } from "node:perf_hooks";
import { runTool, type ToolRun } from "../exec.ts";
import { parsePing } from "../parsers/ping.ts";
import { type PingIcmpError, PingLines } from "../parsers/ping-line.ts";
import { type PingTool, seconds } from "./ping-tool.ts";

/** Bytes of the IP and ICMP headers (RFC 791, 792; RFC 8200, 4443). */
export const HEADER_BYTES = { 4: 28, 6: 48 } as const;

/** How the kernel treats the size: `probe` ignores what it remembers of the path, `do` refuses what is larger than that. */
export type Discovery = "probe" | "do";

export interface EchoOrder {
  readonly tool: PingTool;
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly family: 4 | 6;
  /** Bytes of the whole IP packet. */
  readonly size: number;
  readonly ttl?: number;
  readonly interval_ms: number;
  readonly discovery: Discovery;
  /** Longest life, ms. */
  readonly life_ms: number;
  readonly signal: AbortSignal;
}

/** One request. Times by the monotonic clock, ms. */
export interface SentProbe {
  readonly sentAt: number;
  answered: boolean;
  /** null as long as no answer came, and where the tool had no time for it. */
  rtt: number | null;
}

/** First iputils release that lets everybody send faster than 5 a second. */
const FAST_RELEASE = 20210722;

/** Least spacing this ping allows us, ms; on macOS by its manual page. */
export function leastInterval(tool: PingTool): number {
  if (tool.dialect === "macos") return 100;
  const release = Number(/\d{8}/.exec(tool.version)?.[0] ?? FAST_RELEASE);
  return release < FAST_RELEASE && process.getuid?.() !== 0 ? 200 : 10;
}

/** Arguments for one stream; iputils says after each request that it is still unanswered (-O), which proves that it was sent. */
function args(order: EchoOrder): string[] {
  const payload = String(order.size - HEADER_BYTES[order.family]);
  const count = String(Math.max(1, Math.ceil(order.life_ms / order.interval_ms)));
  const common = ["-n", "-c", count, "-i", seconds(order.interval_ms / 1000), "-s", payload];
  if (order.tool.dialect === "macos") {
    // After Apple's ping(8): -D forbids fragmentation, -m is the TTL; not tried on a Mac.
    return [...common, "-D", ...(order.ttl === undefined ? [] : ["-m", String(order.ttl)]), "--", order.address];
  }
  const ttl = order.ttl === undefined ? [] : ["-t", String(order.ttl)];
  return [...common, "-O", "-M", order.discovery, ...ttl, "--", order.address];
}

export class EchoStream {
  readonly size: number;
  /** The address asked. */
  readonly target: string;
  readonly ttl: number | undefined;
  readonly interval_ms: number;
  /** By their place in the stream. */
  readonly probes = new Map<number, SentProbe>();
  /** ICMP errors by routers and by the target. */
  readonly errors: PingIcmpError[] = [];
  /** Largest packet this host's kernel lets through for now, when it refused ours. */
  localLimit: number | null = null;
  /** When it ended or was stopped; null while it runs. */
  endedAt: number | null = null;
  /** The finished run; null while the tool runs. */
  run: ToolRun | null = null;
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();
  readonly #lines = new PingLines();

  /** `onEvent` is called whenever something arrived. */
  constructor(order: EchoOrder, onEvent: () => void) {
    this.size = order.size;
    this.target = order.address;
    this.ttl = order.ttl;
    this.interval_ms = order.interval_ms;
    this.ended = runTool({
      file: order.tool.file,
      args: args(order),
      timeout_ms: order.life_ms,
      grace_ms: 100,
      signal: AbortSignal.any([order.signal, this.#stop.signal]),
      onLine: (line) => this.#read(line) && onEvent(),
      onErrorLine: (line) => this.#read(line) && onEvent(),
    }).then((run) => {
      this.run = run;
      this.endedAt ??= performance.now();
      onEvent();
    });
  }

  get running(): boolean {
    return this.endedAt === null;
  }

  /** Answers so far. */
  get answers(): number {
    return [...this.probes.values()].filter((probe) => probe.answered).length;
  }

  /** Round trips of the answers so far, ms. */
  get rtts(): number[] {
    return [...this.probes.values()].flatMap((probe) => (probe.rtt === null ? [] : [probe.rtt]));
  }

  /** Requests sent as far as known: the tool's own count when it printed one. */
  get sent(): number {
    const summary = this.run === null ? null : parsePing(this.run.stdout).summary;
    return Math.max(this.probes.size, summary?.sent ?? 0);
  }

  /** Requests whose fate is certain, and how many of them were lost. */
  resolved(wait_ms: number): { sent: number; lost: number } {
    const until = (this.endedAt ?? performance.now()) - wait_ms;
    const known = [...this.probes.values()].filter((probe) => probe.answered || probe.sentAt <= until);
    return { sent: known.length, lost: known.filter((probe) => !probe.answered).length };
  }

  stop(): void {
    if (!this.running) return;
    this.endedAt = performance.now();
    this.#stop.abort();
  }

  /** Takes in a line; answers whether it said anything. */
  #read(line: string): boolean {
    const now = performance.now();
    const event = this.#lines.read(line);
    if (event === undefined || event.type === "altered") return false;
    if (event.type === "pending") {
      // The line comes with the next request, one interval after the one it is about.
      if (!this.probes.has(event.index))
        this.probes.set(event.index, { sentAt: now - this.interval_ms, answered: false, rtt: null });
    } else if (event.type === "reply") {
      // A reply cut short by the target still shows that the whole request came there.
      const { index, damaged, rtt } = event.reply;
      const known = this.probes.get(index);
      if (!damaged && known?.answered !== true) {
        // Without a time of its own, all that is known of its request is that it left before now.
        this.probes.set(index, { sentAt: known?.sentAt ?? now - (rtt ?? 0), answered: true, rtt });
      }
    } else if (event.error.from === null) {
      if (event.error.kind === "frag_needed") this.localLimit = event.error.mtu ?? this.size - 1;
    } else this.errors.push(event.error);
    return true;
  }
}
