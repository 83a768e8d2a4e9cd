// Follows the marks of packets along the path: probes of one flow that end at each hop in turn, and what the hops quote of them.
import { sameAddress } from "../address.ts";
import { installHint } from "../install-hint.ts";
import { failureError, pathToolMissing } from "./path-failure.ts";
import { flowPorts } from "./path-round.ts";
import { SILENT_HOPS_MAX, type SweepResult, sweep } from "./path-sweep.ts";
import { findPathTool, type PathTool } from "./path-tool.ts";
import { Capture, type Captured, type Failure } from "./qos-capture.ts";
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

export interface MarkSurvey {
  /** As people know it; null where there is none. */
  readonly tool: string | null;
  readonly hops: readonly MarkHop[];
  /** The DSCP that probes had when they left this host; null when none left. */
  readonly left: number | null;
  /** What kept it from being whole; null when nothing did. */
  readonly failure: Failure | null;
}

/** As traceroute does by default: to ports nobody listens at, so that the target answers with an error too. */
const UDP_PORT = 33_434;
/** Payload of the first sweep; each further one is a byte longer, so that their quotes can be told apart. */
const PAYLOAD = 32;
/** The flows of a traceroute to the same address come before these (16 at most). */
const FLOWS = { first: 20, tries: 4 } as const;
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

/** Runs of this process that hold a port; two of them would take each other's quotes. */
const taken = new Set<string>();

class Survey {
  readonly #tool: PathTool;
  readonly #order: MarkOrder;
  readonly #flow: number;
  readonly #capture: Capture;
  readonly #signal: AbortSignal;
  #sweeps = 0;
  #longest_ms = 0;
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
  ): Promise<SweepResult> {
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
    for (const { ttl, addr, rtt } of result.probes) {
      if (protocol === "udp") this.#tried = Math.max(this.#tried, ttl);
      if (addr === null) continue;
      this.#answers.push({ ttl, addr, protocol });
      this.#longest_ms = Math.max(this.#longest_ms, rtt ?? 0);
    }
    await this.#settle(protocol);
    return result;
  }

  /** Seconds to wait for an answer, by what the path has shown to need. */
  #patience(): number {
    const known = this.#longest_ms === 0 ? this.#order.roundTrip?.() : this.#longest_ms;
    return known === undefined
      ? this.#order.timeout
      : Math.min(this.#order.timeout, (PATIENCE.factor * known + PATIENCE.more_ms) / 1000);
  }

  /** Until every answer that traceroute has was captured as a quote too. */
  async #settle(protocol: "udp" | "tcp"): Promise<void> {
    const { address } = this.#order;
    const quoting = this.#answers.filter((each) => protocol === "udp" || !sameAddress(each.addr, address));
    await this.#capture.until((packets) => packets.filter((packet) => "quote" in packet).length >= quoting.length, SETTLE_MS);
  }

  get #stopped(): boolean {
    return this.#signal.aborted || this.#capture.failure !== undefined;
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
  async first(): Promise<SweepResult> {
    const last = this.#order.max_hops;
    const result = await this.#sweep("udp", { first: 1, last, silences: FIRST_SILENCES });
    if (result.failure !== null && result.probes.length === 0) return result;
    if (this.#open() && this.#tried < last) await this.#sweep("udp", { first: this.#tried + 1, last });
    if (this.#open()) await this.#sweep("tcp", { first: this.hops().length + 1, last, silences: TCP_SILENT_MAX });
    return result;
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

/** The first port of the flow that no other run of this process holds. */
function freePort(address: string, tried: ReadonlySet<number>): number | undefined {
  const ports = flowPorts(address, FLOWS.first + FLOWS.tries).slice(FLOWS.first);
  return ports.find((port) => !tried.has(port) && !taken.has(`${address} ${port}`));
}

/** Linux' traceroute; others can neither hold a flow nor say ECT. */
async function surveyTool(): Promise<PathTool | Failure> {
  const tool = process.platform === "linux" ? await findPathTool() : undefined;
  if (tool?.marks === true) return tool;
  if (tool === undefined) return { error: pathToolMissing(), reason: "tool_missing" };
  const message = `${tool.version} cannot probe with a flow of constant ports; ${installHint("traceroute")}`;
  return { error: { code: "tool_missing", source: "tool", message }, reason: "tool_missing" };
}

const OVER: Failure = {
  error: { code: "deadline", source: "agent", message: "the time was over before every hop was asked" },
  reason: "timeout",
};

const BUSY: Failure = {
  error: { code: "tool_failed", source: "agent", message: "other programs or runs hold every source port this flow may take" },
  reason: "unsupported",
};

/**
 * Follows the marks along the path within `most_ms`. Needs traceroute, tcpdump and the right to capture; whatever is missing, and
 * whatever keeps the survey from being whole, is told in the answer. Leaves no child behind.
 */
export async function surveyMarks(order: MarkOrder, most_ms: number, signal: AbortSignal): Promise<MarkSurvey> {
  const tool = await surveyTool();
  if ("error" in tool) return { tool: null, hops: [], left: null, failure: tool };
  const tried = new Set<number>();
  for (;;) {
    const port = freePort(order.address, tried);
    if (port === undefined) return { tool: tool.version, hops: [], left: null, failure: BUSY };
    tried.add(port);
    const hold = `${order.address} ${port}`;
    taken.add(hold);
    try {
      const survey = await surveyFlow(tool, order, { port, most_ms, signal });
      if (survey !== "port_taken") return survey;
    } finally {
      taken.delete(hold);
    }
  }
}

function leftAs(packets: readonly Captured[]): number | null {
  const probe = packets.find((packet) => "sent" in packet)?.sent;
  return probe === undefined ? null : probe.tos >> 2;
}

async function surveyFlow(
  tool: PathTool,
  order: MarkOrder,
  { port, most_ms, signal }: { port: number; most_ms: number; signal: AbortSignal },
): Promise<MarkSurvey | "port_taken"> {
  const { address, family } = order;
  const capture = await Capture.start({ address, family, source_port: port }, most_ms, signal);
  if ("error" in capture) return { tool: tool.version, hops: [], left: null, failure: capture };
  try {
    const survey = new Survey(tool, order, port, capture, signal);
    const { failure, probes } = await survey.first();
    if (failure?.kind === "port_taken") return "port_taken";
    if (failure === null) {
      await survey.again();
      await survey.confirm();
    }
    const broken = failure !== null && probes.length === 0 ? failureError(failure, "udp") : null;
    return {
      tool: tool.version,
      hops: survey.hops(),
      left: leftAs(capture.packets),
      failure: capture.failure ?? broken ?? (signal.aborted ? OVER : null),
    };
  } finally {
    await capture.end();
  }
}
