// Path MTU: a search by echo requests that needs no ICMP message and believes none unverified; tracepath where echo is barred.
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { checkHost } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ErrorCode, ErrorSource } from "#contract/result";
import { MTU_RANGE, type MtuParams } from "#contract/test-types/mtu";
import { sameAddress } from "../address.ts";
import type { Budget } from "../budget.ts";
import { installHint } from "../install-hint.ts";
import { resolveHost } from "../resolve.ts";
import { BeyondBurst, beyondTool, type Refusal } from "./mtu-beyond.ts";
import { tracepathMtu } from "./mtu-fallback.ts";
import { choosePing, discoveryOf, type RouteView, routeTo } from "./mtu-host.ts";
import { searchOutcome, tracepathOutcome } from "./mtu-outcome.ts";
import { decidedRow, edgeRow, mtuView } from "./mtu-rows.ts";
import { CHILDREN, MtuSearch, type SearchEnd } from "./mtu-search.ts";
import { type Failure, failureOf } from "./ping-outcome.ts";
import type { PingTool } from "./ping-tool.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";

/** Kept of the run's time to end the tools and to say what was found: this share, at most so many ms. */
const CLOSING_SHARE = 0.05;
const CLOSING_MS = 200;
/** Where the interface does not tell its MTU: Ethernet's. */
const USUAL_MTU = 1500;
/** Time for packets larger than the kernel remembers, ms. */
const BEYOND_MS = 1500;
/** A route's MTU below the smallest packet of a search is no help. */
const CONFIGURED_LEAST = 576;

const closing = (budget: Budget): number => Math.min(CLOSING_MS, budget.left() * CLOSING_SHARE);

export interface Target {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Largest packet worth trying, and what limits it. */
export interface Top {
  readonly size: number;
  /** Nothing larger can leave this host; otherwise larger ones were not asked for. */
  readonly byHost: boolean;
}

/** A route's MTU that does not expire is this host's configuration; one that does was learnt and may be out of date. */
function topSize(view: RouteView, wanted: number | undefined): Top {
  const { route, interfaceMtu } = view;
  const configured = route?.mtu != null && route.expires === null && route.mtu >= CONFIGURED_LEAST ? route.mtu : null;
  const host = Math.min(interfaceMtu ?? USUAL_MTU, configured ?? Number.POSITIVE_INFINITY);
  const most = wanted ?? MTU_RANGE.max;
  return { size: Math.min(host, most), byHost: host <= most && interfaceMtu !== null };
}

const failed = (code: ErrorCode, source: ErrorSource, message: string, reason: Reason, address: string | null, detail = {}) =>
  unmeasured("mtu", { code, source, message }, reason, { address, detail });

const aborted = (address: string | null, detail: Record<string, unknown>): Outcome =>
  failed("aborted", "agent", "the run was stopped before its end", "timeout", address, detail);

async function run(destination: string, params: MtuParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const host = checkHost(destination);
  if (!host.ok) return failed("invalid_instruction", "agent", `destination ${host.message}`, "not_applicable", null);
  const choice = await choosePing();
  const found = await resolveHost(host.host, params.ip_version, budget.signal);
  if (budget.stopped) return aborted(null, { resolve_ms: found.resolve_ms });
  if (!found.ok) return failed(found.code, "resolver", found.message, "dns_fail", null, { resolve_ms: found.resolve_ms });
  if (isIP(found.address) === 0) {
    return failed("internal", "agent", "the resolver gave no address literal", "dns_fail", null);
  }
  const view = await routeTo(found.address, budget.signal);
  const top = topSize(view, params.max);
  const detail = { resolve_ms: found.resolve_ms, resolved_by: found.via, interface: view.dev };
  if ("missing" in choice) {
    const error = { code: choice.missing, source: "tool", message: `${choice.why}; ${installHint("ping")}` } as const;
    return byTracepath(found, { top, view, detail, error, reason: choice.missing, refusals: [] }, context);
  }
  return bySearch(choice.tool, found, params, { top, view, detail }, context);
}

interface Known {
  readonly top: Top;
  readonly view: RouteView;
  readonly detail: Record<string, unknown>;
}

async function bySearch(tool: PingTool, target: Target, params: MtuParams, known: Known, context: RunContext): Promise<Outcome> {
  const { budget, watched, show } = context;
  if (tool.dialect === "macos" && target.family === 6) {
    const message = "the ping6 of macOS says nothing of unanswered requests; measure the path MTU over IPv4";
    return failed("unsupported", "tool", message, "unsupported", target.address, known.detail);
  }
  const discovery = await discoveryOf(tool, budget.signal);
  const search = new MtuSearch({
    tool,
    address: target.address,
    family: target.family,
    discovery,
    top: known.top.size,
    timeout_ms: params.timeout * 1000,
    deadline: performance.now() + budget.left() - closing(budget),
    signal: budget.signal,
    onDecided: (size) => watched && show(decidedRow(size)),
    onLocated: (edge) => watched && show(edgeRow(edge)),
  });
  const end = await search.run();
  const detail = { ...known.detail, tool: tool.version, discovery };
  if (budget.stopped) return aborted(target.address, detail);
  if (search.largestPassed === 0) {
    const { run } = search.children.control;
    const broken = end === "broken" && run !== null;
    const failure = broken ? failureOf(tool, run, target.address) : silence(search, target.address);
    return byTracepath(target, { ...known, ...failure, detail, refusals: search.refusals }, context);
  }
  return searchOutcome(search, end satisfies SearchEnd, { ...known, detail, target });
}

function silence(search: MtuSearch, address: string): Failure {
  const [first] = search.children.control.errors;
  if (first !== undefined) {
    const source: ErrorSource = sameAddress(first.from, address) ? "target" : "network";
    const message = `${first.from} answered ${first.kind.replaceAll("_", " ")} for ${address}`;
    return { error: { code: "unreachable", source, message }, reason: "no_route" };
  }
  const { sent } = search.children.control;
  if (sent === 0) {
    const message = "ping said nothing about any request it sent; run `doctor` to see whether it works here";
    return { error: { code: "deadline", source: "tool", message }, reason: "timeout" };
  }
  const message = `none of ${sent} small echo requests was answered by ${address}; without an answer no size can be proven`;
  return { error: { code: "no_reply", source: "network", message }, reason: "timeout" };
}

/** The way without echo. When that proves nothing either, `error` is the answer. */
async function byTracepath(
  target: Target,
  known: Known & Failure & { refusals: readonly Refusal[] },
  context: RunContext,
): Promise<Outcome> {
  const { budget } = context;
  const { address, family } = target;
  const unanswered = (detail = known.detail) => unmeasured("mtu", known.error, known.reason, { address, detail });
  // What no packet reaches, tracepath does not reach either.
  if (known.error.code === "unreachable" || known.error.code === "no_route") return unanswered();
  const part = budget.part("tracepath", budget.left(), closing(budget));
  const found = await tracepathMtu(address, family, known.top.size, part.ms, part.signal);
  if (budget.stopped) return aborted(address, known.detail);
  if (found === undefined) return unanswered();
  if (!found.reached || found.pmtu === null) return unanswered({ ...known.detail, tracepath: found });
  const refusals = [...known.refusals];
  const file = beyondTool();
  if (found.pmtu < known.top.size && file !== undefined && refusals.length === 0) {
    // tracepath starts at the size the kernel remembers; only a router's message makes it this run's finding.
    const { signal } = budget.part("beyond", BEYOND_MS, closing(budget));
    const burst = new BeyondBurst({ file, address, size: known.top.size, wait_ms: BEYOND_MS / 2, signal }, () => undefined);
    await burst.ended;
    if (burst.refusal !== null) refusals.push(burst.refusal);
  }
  return tracepathOutcome(found, { ...known, target, refusals });
}

/** Path MTU discovery at the packetization layer (RFC 4821, RFC 8899), with ICMP (RFC 1191, RFC 8201) as a hint to verify. */
export const mtu: Probe<"mtu"> = {
  places: () => ({ path: 1, path_tools: CHILDREN }),
  run,
  view: mtuView,
};
