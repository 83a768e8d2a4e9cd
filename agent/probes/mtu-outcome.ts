// From a finished search to its result. Pure.
import { metricsOf, type Reason } from "#contract/metrics";
import type { ResultError } from "#contract/result";
import type { TracepathMtu } from "../parsers/tracepath-mtu.ts";
import { median, round3 } from "../statistics.ts";
import type { Target, Top } from "./mtu.ts";
import type { Refusal } from "./mtu-beyond.ts";
import type { RouteView } from "./mtu-host.ts";
import type { MtuSearch, SearchEnd } from "./mtu-search.ts";
import { MetricSheet, type Outcome } from "./probe.ts";

const KEPT = 60;
/** Of fewer small packets no loss is given. */
const LOSS_LEAST = 5;

export type MtuMethod = "icmp_verified" | "icmp" | "search" | "interface" | "route_cache" | "tracepath";

export interface OutcomeBasis {
  readonly top: Top;
  readonly view: RouteView;
  readonly target: Target;
  readonly detail: Record<string, unknown>;
}

/** Whether the end proves the path MTU; at the top it does when no larger packet can leave this host. */
function methodOf(search: MtuSearch, end: SearchEnd, top: Top): MtuMethod | undefined {
  if (end === "top") return top.byHost || search.hostLimit !== null ? "interface" : undefined;
  if (end === "claim") return "icmp";
  if (end === "cache") return "route_cache";
  if (end !== "exact") return undefined;
  const passed = search.largestPassed;
  const said = search.refusals.some((refusal) => refusal.mtu === passed || refusal.size === passed + 1);
  return said ? "icmp_verified" : "search";
}

/** The router that made the limit known. */
function refuser(search: MtuSearch): string | undefined {
  const passed = search.largestPassed;
  const own = search.refusals.find((refusal) => refusal.mtu === passed);
  return (own ?? search.refusals.find((refusal) => refusal.size === passed + 1))?.from;
}

/** Why no router is named: there is none before the limit, none answers, or the time was too short. */
function noHopReason(search: MtuSearch, end: SearchEnd): Reason {
  if (end === "top") return "not_applicable";
  if (end === "cache") return "unsupported";
  if (search.edge === null) return "too_few_samples";
  return search.edge.certain ? "not_applicable" : "timeout";
}

/** Smallest size proven to fail, or null. */
function smallestFailed(search: MtuSearch): number | null {
  const failing = [...search.evidence.values()]
    .filter(({ size, passed, refused }) => !passed && (refused || search.falseFailure(size) < 1e-3))
    .map(({ size }) => size);
  return failing.length > 0 ? Math.min(...failing) : null;
}

/** One entry for each size, with what came of it. */
function sizes(search: MtuSearch): Record<string, unknown>[] {
  return [...search.evidence.keys()]
    .sort((a, b) => a - b)
    .slice(0, KEPT)
    .map((size) => {
      const streams = search.children.all.filter((stream) => stream.size === size);
      const bursts = search.children.bursts.filter((burst) => burst.size === size);
      const refusal = search.refusals.find((each) => each.size === size);
      const count = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
      return {
        size,
        sent: count(streams.map((stream) => stream.sent)) + count(bursts.map((burst) => burst.sent)),
        received: count(streams.map((stream) => stream.answers)),
        ...(bursts.length > 0 ? { udp_passed: bursts.some((burst) => burst.passed) } : {}),
        ...(refusal === undefined ? {} : { icmp: { from: refusal.from, mtu: refusal.mtu } }),
      };
    })
    .filter((told) => told.sent > 0 || "icmp" in told);
}

function routeDetail({ route }: RouteView): Record<string, unknown> {
  return route?.mtu == null ? {} : { route: { mtu: route.mtu, expires_s: route.expires } };
}

function searchDetail(search: MtuSearch, end: SearchEnd, basis: OutcomeBasis): Record<string, unknown> {
  const { edge } = search;
  const above = search.evidence.get(search.largestPassed + 1);
  return {
    ...basis.detail,
    ...routeDetail(basis.view),
    end,
    tried_up_to: search.top,
    largest_passed: search.largestPassed === 0 ? null : search.largestPassed,
    smallest_failed: smallestFailed(search),
    ...(end === "exact" && above?.refused !== true
      ? { false_failure: Number(search.falseFailure(search.largestPassed + 1).toExponential(2)) }
      : {}),
    loss: { sent: search.loss.sent, lost: search.loss.lost },
    ...(search.slowed === 0 ? {} : { slowed: search.slowed }),
    ...(edge === null ? {} : { hole: { behind: edge.hop, ttl: edge.ttl, next_hop: edge.beyond, certain: edge.certain } }),
    probes: sizes(search),
  };
}

function partialError(search: MtuSearch, end: SearchEnd): ResultError | null {
  if (end !== "deadline" && end !== "unproven") return null;
  const failed = smallestFailed(search);
  const upper = failed === null ? "no size was proven to fail" : `${failed} fails`;
  const found = `${search.largestPassed} passes, ${upper}`;
  if (end === "deadline") {
    const message = `the deadline came before the path MTU was exact: ${found}; give it a longer --deadline`;
    return { code: "deadline", source: "network", message };
  }
  const message = `larger packets go only past what the kernel remembers of this path (${search.kernelLimit} bytes), and found no answer: ${found}`;
  return { code: "no_reply", source: "network", message };
}

/** The result of a search that got answers. */
export function searchOutcome(search: MtuSearch, end: SearchEnd, basis: OutcomeBasis): Outcome {
  const method = methodOf(search, end, basis.top);
  const passed = search.largestPassed;
  const sheet = new MetricSheet();
  const exact = method !== undefined;
  // Where the largest packet that may be tried passes, the path's limit lies beyond what was asked.
  const beyond: Reason = end === "top" ? "not_applicable" : "too_few_samples";
  sheet.set("path_mtu", exact ? passed : null, beyond);
  sheet.set("path_mtu_method", method, beyond);
  sheet.set("pmtu_blackhole", exact && end !== "cache" ? method === "search" : end === "top" ? false : null, "too_few_samples");
  const hop = refuser(search) ?? (method === "search" ? search.edge?.hop : undefined);
  sheet.set("pmtu_limiting_hop", hop, noHopReason(search, end));
  sheet.set("pmtu_at_least", passed === 0 ? null : passed, "too_few_samples");
  sheet.set("pmtu_interface_mtu", search.hostLimit ?? basis.view.interfaceMtu, "unsupported");
  const claims = search.refusals.flatMap((refusal) => (refusal.mtu === null ? [] : [refusal.mtu]));
  sheet.set("pmtu_icmp_mtu", claims.length > 0 ? Math.min(...claims) : null, "not_applicable");
  const streams = [...search.children.all, ...search.locator.streams];
  const sent =
    streams.reduce((sum, stream) => sum + stream.sent, 0) + search.children.bursts.reduce((sum, burst) => sum + burst.sent, 0);
  sheet.set("pmtu_probes", sent, "too_few_samples");
  const small = search.children.control.resolved(search.children.wait_ms);
  sheet.set("pmtu_loss_pct", small.sent >= LOSS_LEAST ? round3((100 * small.lost) / small.sent) : null, "too_few_samples");
  const middle = median(search.children.control.rtts);
  sheet.set("pmtu_rtt_median", middle === undefined ? null : round3(middle), "too_few_samples");
  sheet.fill(metricsOf("mtu"), "too_few_samples");
  const whole = exact && end !== "cache";
  return {
    address: basis.target.address,
    status: whole || end === "top" ? "ok" : passed > 0 ? "partial" : "failed",
    error: partialError(search, end),
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: searchDetail(search, end, basis),
    flags: end === "cache" ? ["route_cache"] : [],
  };
}

/** The result of a tracepath that reached its target: the last size came through, and no larger one was tried after it. */
export function tracepathOutcome(
  facts: TracepathMtu,
  basis: OutcomeBasis & { error: ResultError; refusals: readonly Refusal[] },
): Outcome {
  const sheet = new MetricSheet();
  const mtu = facts.pmtu ?? 0;
  const unlimited = mtu >= basis.top.size;
  const named = facts.limits.find((each) => each.mtu === mtu && each.from !== null)?.from;
  const hop = named ?? basis.refusals.find((refusal) => refusal.mtu === mtu)?.from;
  // Lower than what the interface sends, and no router said so in this run: an older run's knowledge.
  const remembered = !unlimited && hop === undefined;
  const exact = !unlimited || basis.top.byHost;
  sheet.set("path_mtu", exact ? mtu : null, "too_few_samples");
  sheet.set("path_mtu_method", exact ? (remembered ? "route_cache" : "tracepath") : null, "too_few_samples");
  sheet.set("pmtu_blackhole", remembered ? null : false, "unsupported");
  sheet.set("pmtu_limiting_hop", hop, unlimited ? "not_applicable" : "unsupported");
  sheet.set("pmtu_at_least", mtu, "unsupported");
  sheet.set("pmtu_interface_mtu", basis.view.interfaceMtu, "unsupported");
  const claims = [...facts.limits, ...basis.refusals].flatMap(({ from, mtu: said }) =>
    from === null || said === null ? [] : [said],
  );
  sheet.set("pmtu_icmp_mtu", claims.length > 0 ? Math.min(...claims) : null, "not_applicable");
  sheet.fill(metricsOf("mtu"), "unsupported");
  return {
    address: basis.target.address,
    status: remembered ? "partial" : "ok",
    error: null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      ...basis.detail,
      ...routeDetail(basis.view),
      end: "tracepath",
      without_echo: basis.error.message,
      tried_up_to: basis.top.size,
      largest_passed: mtu,
      tracepath: { limits: facts.limits.slice(0, 16), hops: facts.hops },
    },
    flags: remembered ? ["route_cache"] : [],
  };
}
