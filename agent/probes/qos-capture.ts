// Watches the probes of one flow leave this host and the ICMP errors that quote them, by tcpdump.
import { performance } from "node:perf_hooks";
import { ipv6Groups } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ResultError } from "#contract/result";
import { canonicalAddress, sameAddress } from "../address.ts";
import { findTool, runTool, type ToolRun } from "../exec.ts";
import { installHint } from "../install-hint.ts";
import { type ProbeHeader, type Quote, readProbe, readQuote } from "../parsers/icmp-quote.ts";
import { type Frame, PcapReader } from "../parsers/pcap.ts";
import type { Failure } from "./ping-outcome.ts";

/** Bytes kept of a packet: whole ICMP errors, which only then can be told from damaged ones. */
const SNAP_BYTES = 2048;
/** Until tcpdump says that it listens. */
const START_MS = 3000;
const GRACE_MS = 200;
/** Interfaces that stand on each other show a packet several times, within this time. */
const TWICE_US = 2000;
/** Should this process be killed, the capture ends this long after its time. */
const ORPHAN_S = 2;

export interface Flow {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly source_port: number;
}

/** A packet of the flow, in the order and at the microsecond captured. */
export type Captured = { readonly at_us: number } & ({ readonly sent: ProbeHeader } | { readonly quote: Quote });

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Comparisons of the 4 or 16 bytes of an address, which begin at `at` of what `of` names. */
function addressIs({ address, family }: Flow, of: string, at: number): string {
  const [bare = ""] = address.split("%", 1);
  if (family === 4) {
    const value = bare.split(".").reduce((all, octet) => all * 256 + Number(octet), 0);
    return `${of}[${at}:4] = ${hex(value)}`;
  }
  const groups = ipv6Groups(bare);
  return [0, 1, 2, 3]
    .map((i) => `${of}[${at + 4 * i}:4] = ${hex((groups[2 * i] ?? 0) * 65_536 + (groups[2 * i + 1] ?? 0))}`)
    .join(" and ");
}

/**
 * What tcpdump is to hand on, in the language of pcap-filter(7), of numbers only: the flow's own probes, and ICMP errors that quote
 * a packet to the flow's destination (RFC 792, RFC 4443).
 */
export function captureFilter(flow: Flow): string {
  const probes = `(udp or tcp) and src port ${flow.source_port}`;
  if (flow.family === 4) {
    const errors = `icmp and (icmp[0] = 3 or icmp[0] = 11) and ${addressIs(flow, "icmp", 24)}`;
    return `(ip and ${probes} and ${addressIs(flow, "ip", 16)}) or (${errors})`;
  }
  const errors = `ip6 and icmp6 and (ip6[40] = 1 or ip6[40] = 3) and ${addressIs(flow, "ip6", 72)}`;
  return `(ip6 and ${probes} and ${addressIs(flow, "ip6", 24)}) or (${errors})`;
}

/** Where there is one, `timeout` ends a capture that outlived this process: tcpdump itself would wait for a packet for ever. */
function command(tcpdump: string, flow: Flow, most_ms: number): { file: string; args: string[] } {
  const args = ["-i", "any", "-p", "-n", "-s", String(SNAP_BYTES), "--immediate-mode", "-U", "-w", "-", captureFilter(flow)];
  const guard = findTool("timeout");
  if (guard === undefined) return { file: tcpdump, args };
  return { file: guard, args: ["-s", "KILL", String(Math.ceil(most_ms / 1000) + ORPHAN_S), tcpdump, ...args] };
}

const CANNOT_START: readonly (string | null)[] = ["EPERM", "EACCES"];

const failure = (code: ResultError["code"], source: ResultError["source"], message: string, reason: Reason): Failure => ({
  error: { code, source, message },
  reason,
});

const MISSING = (): Failure =>
  failure(
    "tool_missing",
    "tool",
    `tcpdump is not installed, so nobody sees which DSCP routers quote; ${installHint("tcpdump")}`,
    "tool_missing",
  );

/** Why a capture ended that was not told to. */
function failureOf(run: ToolRun, broken: boolean): Failure {
  const says = run.stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 300);
  const told = says === "" ? "" : ` (${says})`;
  if (run.startError === "ENOENT") return MISSING();
  if (CANNOT_START.includes(run.startError) || /permission|not permitted/i.test(says)) {
    return failure(
      "no_permission",
      "agent",
      `tcpdump may not capture here${told || ` (${run.startError})`}; ${installHint("raw")}`,
      "no_permission",
    );
  }
  if (broken) return failure("unreadable_output", "tool", `tcpdump wrote what is no capture${told}`, "unsupported");
  if (run.timedOut) return failure("deadline", "tool", "tcpdump did not begin to capture in its time", "timeout");
  const end = run.startError ?? run.code ?? "a signal";
  return failure("tool_failed", "tool", `tcpdump ended with ${end} before the probes did${told}`, "unsupported");
}

/** Whether a packet is the one before it, seen on a further interface. */
const repeats = (before: Captured | undefined, now: Captured): boolean =>
  before !== undefined &&
  now.at_us - before.at_us < TWICE_US &&
  JSON.stringify({ ...before, at_us: 0 }) === JSON.stringify({ ...now, at_us: 0 });

/** A running capture of one flow. */
export class Capture {
  readonly #flow: Flow;
  readonly #reader = new PcapReader();
  readonly #end = new AbortController();
  readonly #packets: Captured[] = [];
  #run: Promise<ToolRun> | undefined;
  #failure: Failure | undefined;
  #heard: () => void = () => undefined;

  private constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** Starts one and answers when it captures, or why it cannot. `most_ms` is the longest it may run. */
  static async start(flow: Flow, most_ms: number, signal: AbortSignal): Promise<Capture | Failure> {
    const tcpdump = findTool("tcpdump");
    if (tcpdump === undefined) return MISSING();
    const capture = new Capture(flow);
    const ready = await capture.#begin(tcpdump, most_ms, signal);
    if (ready) return capture;
    await capture.end();
    return capture.#failure ?? failure("deadline", "tool", "tcpdump did not begin to capture in its time", "timeout");
  }

  async #begin(tcpdump: string, most_ms: number, signal: AbortSignal): Promise<boolean> {
    let listening: (ready: boolean) => void = () => undefined;
    const ready = new Promise<boolean>((resolve) => {
      listening = resolve;
    });
    const timer = setTimeout(() => listening(false), Math.min(START_MS, most_ms));
    this.#run = runTool({
      ...command(tcpdump, this.#flow, most_ms),
      // The signal comes first; this is for a child that outlived it.
      timeout_ms: most_ms + GRACE_MS,
      grace_ms: GRACE_MS,
      signal: AbortSignal.any([signal, this.#end.signal]),
      onData: (chunk) => this.#take(this.#reader.push(chunk)),
      onErrorLine: (line) => {
        if (/\blistening on\b/.test(line)) listening(true);
      },
    });
    void this.#run.then((run) => {
      if (!run.aborted) this.#failure = failureOf(run, this.#reader.broken);
      listening(false);
      this.#heard();
    });
    return ready.finally(() => clearTimeout(timer));
  }

  /** Every packet of the flow so far, in the order captured. */
  get packets(): readonly Captured[] {
    return this.#packets;
  }

  /** Why the capture ended by itself; undefined while it runs and when it was told to end. */
  get failure(): Failure | undefined {
    if (this.#failure === undefined && this.#reader.broken) {
      return failure("unreadable_output", "tool", "tcpdump wrote what is no capture", "unsupported");
    }
    return this.#failure;
  }

  #take(frames: readonly Frame[]): void {
    for (const { outgoing, time_us, packet } of frames) {
      const captured = this.#read(outgoing, packet, time_us);
      if (captured !== undefined && !repeats(this.#packets.at(-1), captured)) this.#packets.push(captured);
    }
    this.#heard();
  }

  /** The packet, when it belongs to the flow: others may speak to the same destination. */
  #read(outgoing: boolean, packet: Buffer, at_us: number): Captured | undefined {
    const ours = ({ source_port, destination }: ProbeHeader) =>
      source_port === this.#flow.source_port && sameAddress(canonicalAddress(destination), this.#flow.address);
    const sent = readProbe(packet);
    // What this host sends to itself is only seen coming in.
    if (sent !== undefined && ours(sent) && (outgoing || sent.source === sent.destination)) return { at_us, sent };
    const quote = readQuote(packet);
    return quote !== undefined && ours(quote.probe) ? { at_us, quote } : undefined;
  }

  /** Waits until the packets fulfil a condition: what was captured is handed on a moment later. */
  async until(condition: (packets: readonly Captured[]) => boolean, most_ms: number): Promise<void> {
    const end = performance.now() + most_ms;
    while (!condition(this.#packets) && this.failure === undefined && performance.now() < end) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, end - performance.now());
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Ends tcpdump and waits for it. */
  async end(): Promise<void> {
    this.#end.abort();
    await this.#run;
  }
}
