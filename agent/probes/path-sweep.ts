// One sweep: the probes of one flow to a range of hops, by one run of the tool.
import { canonicalAddress, sameAddress } from "../address.ts";
import { runTool } from "../exec.ts";
import { type HopAnswer, type TraceComplaint, traceComplaint } from "../parsers/traceroute.ts";
import type { PathTool, SweepRequest } from "./path-tool.ts";

/** Hops in a row without an answer after which nothing more is expected. */
export const SILENT_HOPS_MAX = 6;
/** A tool that was asked to end is killed after this long, milliseconds. */
const GRACE_MS = 80;

export interface FlowProbe extends HopAnswer {
  readonly flow: number;
}

/** Why a sweep gave nothing, or not all it should. `says` is the tool's own complaint. */
export interface SweepFailure {
  readonly kind: NonNullable<TraceComplaint> | "unsupported" | "no_start" | "missing" | "failed" | "unreadable" | "timeout";
  readonly says: string;
}

export interface SweepResult {
  readonly probes: readonly FlowProbe[];
  readonly failure: SweepFailure | null;
}

export interface SweepWatch {
  readonly signal: AbortSignal;
  /** Up to this hop silence is no reason to stop. */
  readonly expect?: number | undefined;
  /** Every answer as it becomes known. */
  readonly onProbe?: ((probe: FlowProbe) => void) | undefined;
}

/** Takes in the answers of a sweep one by one, each address in its canonical spelling. */
class Selection {
  readonly #request: SweepRequest;
  readonly #seen = new Map<number, number>();
  /** Hop of the target, as far as it is known. */
  #target = Number.POSITIVE_INFINITY;
  /** Furthest hop told of, and furthest that answered. */
  #last = 0;
  #answering: number;

  constructor(request: SweepRequest) {
    this.#request = request;
    this.#answering = request.first - 1;
  }

  get last(): number {
    return this.#last;
  }

  /** How many hops at the end are silent. */
  get silentTail(): number {
    return this.#last - this.#answering;
  }

  /** The probe, when it belongs to the order: its hops, no more for each than were asked, nothing behind the target. */
  take(answer: HopAnswer): FlowProbe | undefined {
    const { first, last, queries, address, flow } = this.#request;
    const { ttl } = answer;
    const addr = answer.addr === null ? null : canonicalAddress(answer.addr);
    if (sameAddress(addr, address)) this.#target = Math.min(this.#target, ttl);
    const before = this.#seen.get(ttl) ?? 0;
    this.#seen.set(ttl, before + 1);
    if (ttl < first || ttl > Math.min(last, this.#target) || before >= queries) return undefined;
    this.#last = Math.max(this.#last, ttl);
    if (addr !== null) this.#answering = Math.max(this.#answering, ttl);
    return { ...answer, addr, flow };
  }

  /** What belongs to the order of a finished run, now that the target's hop is known. */
  all(answers: readonly HopAnswer[]): FlowProbe[] {
    const taken = answers.flatMap((answer) => this.take(answer) ?? []);
    return taken.filter(({ ttl }) => ttl <= this.#target);
  }
}

/** Runs the tool once. What it printed until it was stopped counts. */
export async function sweep(tool: PathTool, request: SweepRequest, watch: SweepWatch): Promise<SweepResult> {
  const command = tool.command(request);
  if ("unsupported" in command) return { probes: [], failure: { kind: "unsupported", says: command.unsupported } };
  const enough = new AbortController();
  const read = tool.reader();
  const seen = new Selection(request);
  const onLine = (line: string) => {
    for (const answer of read(line)) {
      const probe = seen.take(answer);
      if (probe !== undefined) watch.onProbe?.(probe);
    }
    if (seen.silentTail >= SILENT_HOPS_MAX && seen.last >= (watch.expect ?? 0)) enough.abort();
  };
  const hops = request.last - request.first + 1;
  const run = await runTool({
    ...command,
    timeout_ms: hops * request.queries * (request.timeout * 1000 + 250) + tool.startup_ms + 2000,
    grace_ms: GRACE_MS,
    signal: AbortSignal.any([watch.signal, enough.signal]),
    onLine,
  });
  const probes = marked(new Selection(request).all(tool.parse(finished(run.stdout))), request, run.code === 0 && !run.aborted);
  // A tool killed by somebody else has not looked further; that is not the network's silence.
  const whole = probes.length > 0 && (run.code !== null || run.aborted || run.timedOut);
  return { probes, failure: whole ? null : failureOf(run) };
}

/** Tools end a hop's line when they begin the next one: a last line that stops behind a whole answer is whole. */
const finished = (stdout: string): string => (/(?: ms|\*) *$/.test(stdout) ? `${stdout}\n` : stdout);

/**
 * A tool that ended by itself before the last hop was told to by an ICMP error. One that leaves no mark and did not come from the
 * target is a port unreachable, sent by somebody in between.
 */
function marked(probes: readonly FlowProbe[], request: SweepRequest, ended: boolean): FlowProbe[] {
  const last = probes.findLast(({ addr }) => addr !== null);
  const early = ended && last !== undefined && last.ttl < request.last && last === probes.at(-1);
  if (!early || sameAddress(last.addr, request.address) || last.icmp !== null) return [...probes];
  return probes.map((probe) => (probe.ttl === last.ttl && probe.addr !== null ? { ...probe, icmp: "!port" } : probe));
}

function failureOf(run: Awaited<ReturnType<typeof runTool>>): SweepFailure {
  const says = run.stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 300);
  if (run.startError === "ENOENT") return { kind: "missing", says: run.startError };
  if (run.startError === "EPERM" || run.startError === "EACCES") return { kind: "no_start", says: run.startError };
  if (run.startError !== null) return { kind: "failed", says: run.startError };
  const complaint = traceComplaint(run.stderr);
  if (complaint !== undefined) return { kind: complaint, says };
  if (run.aborted || run.timedOut) return { kind: "timeout", says };
  if (run.code === 0) return { kind: "unreadable", says: run.stdout.trim().split("\n")[0]?.slice(0, 120) ?? "" };
  return { kind: "failed", says: says === "" ? `ended with ${run.code ?? "a signal"}` : says };
}
