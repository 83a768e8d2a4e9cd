// The probes of one marked flow: sweeps over the path, questions to hops that told nothing, and to those that told of a change.
import { sameAddress } from "../address.ts";
import { SILENT_HOPS_MAX, type SweepFailure, sweep } from "./path-sweep.ts";
import type { PathTool } from "./path-tool.ts";
import type { Capture } from "./qos-capture.ts";
import { circleOf, dscpChange, ecnChange, type MarkHop, markHops, sightingsOf } from "./qos-marks.ts";

/** What to follow, in validated numbers. Seconds. */
export interface MarkOrder {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly dscp: number;
  /** Whether the probes say ECT(0) too. */
  readonly ect: boolean;
  /** TCP port that is probed where UDP does not come through. */
  readonly port: number;
  readonly max_hops: number;
  readonly timeout: number;
  /** A round trip to the target, ms, as soon as anybody has measured one: silence behind silence need not be waited for longer. */
  readonly roundTrip?: () => number | undefined;
}

/** As traceroute does by default: to ports nobody listens at, so that the target answers with an error too. */
const UDP_PORT = 33_434;
/** Payload of the first sweep; each further one is a byte longer, so that their quotes can be told apart. */
const PAYLOAD = 32;
/** Silent hops in a row after which the first sweep makes way for a more hurried one. */
const FIRST_SILENCES = 2;
/** Hops in a row behind the last one known that TCP is tried on. */
const TCP_SILENT_MAX = 3;
/** Silent hops are asked again so often; more often as long as that brings answers, since then packets get lost. */
const ROUNDS = { least: 2, most: 5 } as const;
/** A quote is handed on this long after traceroute knows of the answer. */
const SETTLE_MS = 300;
const CONFIRM_PROBES = 3;
/** An answer is waited for so many times the longest round trip, and so much more for a router that is busy. */
const PATIENCE = { factor: 4, more_ms: 250 } as const;
/** A router that answers for more hops than these stands in a circle. */
const CIRCLES_MAX = 3;

/** One flow, watched by a capture. */
export class MarkSweeps {
  readonly #tool: PathTool;
  readonly #order: MarkOrder;
  readonly #flow: number;
  readonly #capture: Capture;
  readonly #signal: AbortSignal;
  #sweeps = 0;
  #longest_ms = 0;
  #failure: SweepFailure | null = null;
  /** The furthest hop UDP was tried on. */
  #tried = 0;
  /** Answers as traceroute knows them. */
  readonly #answers: { ttl: number; addr: string; protocol: "udp" | "tcp" }[] = [];

  constructor(tool: PathTool, order: MarkOrder, flow: number, capture: Capture, signal: AbortSignal) {
    this.#tool = tool;
    this.#order = order;
    this.#flow = flow;
    this.#capture = capture;
    this.#signal = signal;
  }

  hops(): MarkHop[] {
    const quiet = this.#answers.filter(({ protocol, addr }) => protocol === "tcp" && sameAddress(addr, this.#order.address));
    return markHops(sightingsOf(this.#capture.packets).seen, quiet, this.#order.address);
  }

  async #sweep(
    protocol: "udp" | "tcp",
    {
      first,
      last,
      queries = 1,
      silences = SILENT_HOPS_MAX,
    }: { first: number; last: number; queries?: number; silences?: number },
  ): Promise<void> {
    const { address, family, dscp, ect, port, timeout } = this.#order;
    const enough = new AbortController();
    const packet_size = protocol === "udp" ? { packet_size: PAYLOAD + this.#sweeps } : {};
    this.#sweeps += 1;
    const result = await sweep(
      this.#tool,
      {
        address,
        family,
        dscp,
        // A SYN may not carry ECT (RFC 3168 6.1.1), and firewalls know that.
        ect: ect && protocol === "udp",
        method: protocol,
        port: protocol === "udp" ? UDP_PORT : port,
        flow: this.#flow,
        first,
        last,
        queries,
        timeout: this.#sweeps === 1 ? timeout : this.#patience(),
        ...packet_size,
      },
      {
        signal: AbortSignal.any([this.#signal, enough.signal]),
        onProbe: futility(silences, () => enough.abort()),
      },
    );
    if (protocol === "udp") this.#failure ??= result.failure;
    for (const { ttl, addr, rtt } of result.probes) {
      if (protocol === "udp") this.#tried = Math.max(this.#tried, ttl);
      if (addr === null) continue;
      this.#answers.push({ ttl, addr, protocol });
      this.#longest_ms = Math.max(this.#longest_ms, rtt ?? 0);
    }
    await this.#settle();
  }

  /** The longest round trip known, ms. */
  get #roundTrip(): number | undefined {
    return this.#longest_ms === 0 ? this.#order.roundTrip?.() : this.#longest_ms;
  }

  /** Seconds to wait for an answer, by what the path has shown to need. */
  #patience(): number {
    const { timeout } = this.#order;
    const known = this.#roundTrip;
    return known === undefined ? timeout : Math.min(timeout, (PATIENCE.factor * known + PATIENCE.more_ms) / 1000);
  }

  /** Until every answer that traceroute has was captured as a quote too. */
  async #settle(): Promise<void> {
    const { address } = this.#order;
    const quoting = this.#answers.filter(({ protocol, addr }) => protocol === "udp" || !sameAddress(addr, address));
    await this.#capture.until((packets) => packets.filter((packet) => "quote" in packet).length >= quoting.length, SETTLE_MS);
  }

  /** What went wrong with a sweep by UDP; TCP is tried in addition. */
  get failure(): SweepFailure | null {
    return this.#failure;
  }

  get #stopped(): boolean {
    return this.#signal.aborted || this.#capture.failure !== undefined || this.#failure !== null;
  }

  /** Whether there may be hops that nothing was heard of, behind those known. */
  #open(): boolean {
    const known = this.hops();
    const whole = known.some(({ addr }) => sameAddress(addr, this.#order.address));
    return !whole && known.length < this.#order.max_hops && circleOf(known) === null && !this.#stopped;
  }

  /**
   * The whole path by UDP, and by TCP behind the last hop that UDP came to. After some silence the rest is waited for as long as
   * the path has shown to need.
   */
  async first(): Promise<void> {
    const last = this.#order.max_hops;
    await this.#sweep("udp", { first: 1, last, silences: FIRST_SILENCES });
    // Where nobody at all has answered, each further silence costs the whole time-out.
    const silences = this.#roundTrip === undefined ? SILENT_HOPS_MAX - FIRST_SILENCES : SILENT_HOPS_MAX;
    if (this.#tried < last && this.#open()) await this.#sweep("udp", { first: this.#tried + 1, last, silences });
    if (this.#roundTrip !== undefined && this.#open())
      await this.#sweep("tcp", { first: this.hops().length + 1, last, silences: TCP_SILENT_MAX });
  }

  /** Asks hops again that quoted nothing: their answer or the probe may be lost. */
  async again(): Promise<void> {
    let missing = Number.POSITIVE_INFINITY;
    for (let round = 1; round <= ROUNDS.most && !this.#stopped; round++) {
      const { doubtful } = sightingsOf(this.#capture.packets);
      const silent = this.hops().filter(({ quotes, addr }) => quotes === 0 && addr === null);
      const ttls = silent.map(({ ttl }) => ttl);
      if (ttls.length === 0 || (round > ROUNDS.least && ttls.length >= missing)) return;
      missing = ttls.length;
      const hops = this.hops();
      for (const { first, last } of ranges(ttls, doubtful)) {
        if (this.#stopped) return;
        const behind = hops.slice(last).find(({ protocol }) => protocol !== null);
        await this.#sweep(behind?.protocol ?? "udp", { first, last });
      }
    }
  }

  /** A change that a single quote tells of is asked about once more. */
  async confirm(): Promise<void> {
    const hops = this.hops();
    const changes = [dscpChange(hops, this.#order.dscp), this.#order.ect ? ecnChange(hops) : null];
    const lone = new Set(changes.flatMap((change) => (change !== null && change.quotes === 1 ? [change.at_hop] : [])));
    for (const ttl of lone) {
      if (this.#stopped) return;
      const protocol = hops[ttl - 1]?.protocol ?? "udp";
      await this.#sweep(protocol, { first: ttl, last: ttl, queries: CONFIRM_PROBES });
    }
  }
}

/** Calls off a sweep of which nothing more is to be expected: too many hops in a row are silent, or it goes in circles. */
function futility(silences: number, enough: () => void): (probe: { readonly ttl: number; readonly addr: string | null }) => void {
  let silent = 0;
  const met = new Map<string, number>();
  return ({ addr }) => {
    silent = addr === null ? silent + 1 : 0;
    if (addr !== null) met.set(addr, (met.get(addr) ?? 0) + 1);
    if (silent >= silences || (addr !== null && (met.get(addr) ?? 0) > CIRCLES_MAX)) enough();
  };
}

/** Neighbouring hops as ranges; doubtful ones alone. */
export function ranges(ttls: readonly number[], alone: ReadonlySet<number>): { first: number; last: number }[] {
  const found: { first: number; last: number }[] = [];
  for (const ttl of ttls) {
    const open = found.at(-1);
    const joins = open !== undefined && open.last === ttl - 1 && !alone.has(ttl) && !alone.has(open.last);
    if (joins) found[found.length - 1] = { ...open, last: ttl };
    else found.push({ first: ttl, last: ttl });
  }
  return found;
}
