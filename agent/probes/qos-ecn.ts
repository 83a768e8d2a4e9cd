// Whether a target negotiates ECN, and whether handshakes that ask for it get through (RFC 3168 6.1.1): SYNs with ECE and CWR
// beside SYNs without, so that loss, which meets both, is not taken for a firewall that meets one.
import { sameAddress } from "../address.ts";
import { findTool, runTool, type ToolRun } from "../exec.ts";
import { installHint } from "../install-hint.ts";
import { traceComplaint } from "../parsers/traceroute.ts";
import { type Handshake, parseHandshakes } from "../parsers/traceroute-tcp.ts";
import type { Failure } from "./ping-outcome.ts";
import { seconds } from "./ping-tool.ts";
import type { Finding } from "./qos-classes.ts";
import { fisherGreater } from "./qos-significance.ts";

/** SYNs of each kind in each round; the second is only for doubt. Together they tell 6 in 10 answered from none. */
const ROUNDS: readonly number[] = [4, 6];
/** Seconds between two SYNs, so that a burst of loss does not take all of them. */
const SPACING_S = 0.15;
/** Hops a SYN may make: far beyond any path, so that only the target answers. */
const TTL = 64;
const ALPHA = 0.01;

/** What SYNs of one kind brought. */
export interface SynTally {
  readonly sent: number;
  /** Answered by SYN and ACK. */
  readonly accepted: number;
  /** Accepted with ECE and without CWR: ECN is agreed on. */
  readonly agreed: number;
  /** Answered by RST. */
  readonly refused: number;
  /** Answered by an ICMP error, whoever sent it. */
  readonly icmp: number;
}

export const NO_SYNS: SynTally = { sent: 0, accepted: 0, agreed: 0, refused: 0, icmp: 0 };

/** Adds answers to a tally. */
export function tallied(before: SynTally, handshakes: readonly Handshake[], target: string): SynTally {
  const has = ({ addr, flags }: Handshake, flag: string) =>
    sameAddress(addr, target) && (flags?.split(",").includes(flag) ?? false);
  const accepted = handshakes.filter((each) => has(each, "syn") && has(each, "ack"));
  return {
    sent: before.sent + handshakes.length,
    accepted: before.accepted + accepted.length,
    agreed: before.agreed + accepted.filter((each) => has(each, "ece") && !has(each, "cwr")).length,
    refused: before.refused + handshakes.filter((each) => has(each, "rst")).length,
    icmp: before.icmp + handshakes.filter(({ addr, flags }) => addr !== null && flags === null).length,
  };
}

export interface EcnVerdict {
  readonly capable: Finding<boolean>;
  readonly blocked: Finding<boolean>;
}

/**
 * Blocked means that plain SYNs are accepted, those with ECN never, and that chance does not explain it. A target that was never
 * reached, or whose port is closed, says nothing about ECN.
 */
export function ecnVerdict(ecn: SynTally, plain: SynTally): EcnVerdict {
  const capable: Finding<boolean> =
    ecn.accepted > 0 ? { value: ecn.agreed > 0 } : { reason: plain.refused > 0 ? "refused" : "timeout" };
  if (ecn.accepted > 0) return { capable, blocked: { value: false } };
  if (plain.accepted > 0) {
    const chance = fisherGreater({ hits: ecn.sent, trials: ecn.sent }, { hits: plain.sent - plain.accepted, trials: plain.sent });
    return { capable, blocked: chance < ALPHA ? { value: true } : { reason: "too_few_samples" } };
  }
  // A closed port refuses both: what asks for ECN gets through.
  if (ecn.refused > 0) return { capable, blocked: { value: false } };
  return { capable, blocked: { reason: plain.refused > 0 ? "too_few_samples" : "timeout" } };
}

/** In validated numbers. Seconds. */
export interface EcnOrder {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly port: number;
  readonly timeout: number;
}

export interface EcnResult {
  readonly ecn: SynTally;
  readonly plain: SynTally;
  /** The longest handshake, ms; undefined without any. */
  readonly longest_ms: number | undefined;
  readonly failure: Failure | null;
}

async function handshakes(file: string, order: EcnOrder, ecn: boolean, count: number, signal: AbortSignal): Promise<ToolRun> {
  const { address, port, timeout } = order;
  const args = ["-n", "-T", "-O", ecn ? "info,ecn" : "info", "-p", String(port), "-f", String(TTL), "-m", String(TTL)];
  args.push("-q", String(count), "-z", seconds(SPACING_S), "-w", `${seconds(timeout)},0,0`, "--", address);
  const timeout_ms = (count * SPACING_S + timeout) * 1000 + 2000;
  return runTool({ file, args, timeout_ms, grace_ms: 80, signal });
}

function failureOf(run: ToolRun): Failure {
  const says = run.stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 300);
  const told = says === "" ? "" : ` (${says})`;
  const kind = run.startError === "EPERM" || run.startError === "EACCES" ? "no_permission" : traceComplaint(run.stderr);
  if (kind === "no_permission") {
    const message = `TCP probes need a right this process lacks${told}; ${installHint("raw")}`;
    return { error: { code: "no_permission", source: "agent", message }, reason: "no_permission" };
  }
  if (kind === "no_route") {
    const message = `this host has no route to the destination${told}`;
    return { error: { code: "no_route", source: "agent", message }, reason: "no_route" };
  }
  if (run.aborted || run.timedOut) {
    return { error: { code: "deadline", source: "tool", message: "traceroute did not end in its time" }, reason: "timeout" };
  }
  const code = run.code === 0 ? "unreadable_output" : "tool_failed";
  const message = `traceroute ended with ${run.startError ?? run.code ?? "a signal"} and told of no handshake${told}`;
  return { error: { code, source: "tool", message }, reason: "unsupported" };
}

/** Sends SYNs of both kinds at the same time, until their answers say enough. Needs traceroute of Linux and CAP_NET_RAW. */
export async function askEcn(order: EcnOrder, signal: AbortSignal): Promise<EcnResult> {
  const file = findTool("traceroute");
  let [ecn, plain] = [NO_SYNS, NO_SYNS];
  if (file === undefined) {
    const message = `traceroute is not installed, which asks for ECN; ${installHint("traceroute")}`;
    return {
      ecn,
      plain,
      longest_ms: undefined,
      failure: { error: { code: "tool_missing", source: "tool", message }, reason: "tool_missing" },
    };
  }
  const times: number[] = [];
  for (const count of ROUNDS) {
    if (signal.aborted) break;
    const runs = await Promise.all([handshakes(file, order, true, count, signal), handshakes(file, order, false, count, signal)]);
    const [asking, other] = runs.map((run) => parseHandshakes(run.stdout));
    const silent = runs.find((_, i) => [asking, other][i]?.length === 0);
    if (silent !== undefined) return { ecn, plain, longest_ms: undefined, failure: failureOf(silent) };
    times.push(...[...(asking ?? []), ...(other ?? [])].flatMap(({ rtt }) => (rtt === null ? [] : [rtt])));
    ecn = tallied(ecn, asking ?? [], order.address);
    plain = tallied(plain, other ?? [], order.address);
    const verdict = ecnVerdict(ecn, plain);
    // More SYNs only where they can tell more: a target that answers neither kind will not.
    if ("value" in verdict.blocked || verdict.blocked.reason === "timeout") break;
  }
  return { ecn, plain, longest_ms: times.length === 0 ? undefined : Math.max(...times), failure: null };
}
