// What witnesses agree on: where a fault lies, in one word and one sentence. Pure.
import type { EdgeCheck, Evidence, Opinion, SiblingEvidence, Verdict } from "#contract/events";
import { lastAnswering, sawNetwork, stopSays } from "./path-diff.ts";
import type { EdgeAim } from "./witness-plan.ts";

/** Codes that say no packet came back; any other failure is one of the service, whose host may well answer. */
const UNREACHED: readonly string[] = ["no_reply", "unreachable", "filtered", "no_route", "deadline"];
/** Types that ask the host, not a service on it. */
const HOST_TYPES: readonly string[] = ["ping", "traceroute", "mtu", "udp", "voip", "qos"];

/** Whether the failure is that nothing comes back, so that anything that reaches the host speaks for it. */
export function isUnreached({ type, error }: Evidence["failure"]): boolean {
  return HOST_TYPES.includes(type) || error === null || UNREACHED.includes(error.code);
}

/** What another client's evidence says of the target. */
export function opinionOf(sibling: Omit<SiblingEvidence, "opinion">, evidence: Omit<Evidence, "siblings">): Opinion {
  const { failure, last_good } = evidence;
  const { path, check, same_test } = sibling;
  // Its own result of the same test counts when it failed, or was measured since; an older good one may be from before the fault.
  const current = same_test !== null && (same_test.opinion === "failed" || same_test.at >= failure.at) ? same_test : null;
  const direct = [check?.type === failure.type ? check : null, current]
    .filter((one) => one !== null && one.opinion !== "unknown")
    .sort((a, b) => ((a?.at ?? "") < (b?.at ?? "") ? 1 : -1))[0];
  if (direct) return direct.opinion;
  if (path?.reached === true || check?.opinion === "fine") return isUnreached(failure) ? "fine" : "unknown";
  const silent = check?.opinion === "failed" || (path !== null && sawNetwork(path));
  // Many targets never answer probes: silence counts where this one is known to answer.
  return silent && last_good?.reached === true ? "failed" : "unknown";
}

/** What the edge's check says of the target. No TCP answer of a host that was never asked for TCP says nothing. */
export function edgeOpinion(check: EdgeCheck, aim: EdgeAim, failure: Evidence["failure"]): Opinion {
  if (check.state === "ok") return "fine";
  if (check.state !== "failed" || aim.kind === "none") return "unknown";
  // Whoever gets an answer reaches the host, though not a good one; a host that takes connections and then says nothing may hang for all.
  if (check.alive === true && isUnreached(failure)) return check.http_status === null ? "unknown" : "fine";
  return aim.kind === "fetch" || aim.own_port ? "failed" : "unknown";
}

interface Vote {
  readonly by: "edge" | "client";
  readonly same_site: boolean;
  readonly opinion: Opinion;
}

function votes(evidence: Evidence, aim: EdgeAim): Vote[] {
  const edge: Vote = { by: "edge", same_site: false, opinion: edgeOpinion(evidence.edge, aim, evidence.failure) };
  return [edge, ...evidence.siblings.map(({ same_site, opinion }): Vote => ({ by: "client", same_site, opinion }))];
}

/** Last hop that answers the client now, where the target does not; undefined where the path was not seen or is whole. */
function stopsAfter({ path }: Evidence): { ttl: number; addrs: readonly string[] } | undefined {
  if (path === null || path.reached === true || !sawNetwork(path)) return undefined;
  return lastAnswering(path) ?? { ttl: 0, addrs: [] };
}

/** Hops that belong to the client's own access: its gateway and what stands before it. */
const ACCESS_HOPS = 2;

/** Whether the client's packets end behind a router that a client with a whole path passes too: then its access is not at fault. */
function endsOnSharedWay(evidence: Evidence): boolean {
  const last = stopsAfter(evidence);
  if (last === undefined || last.ttl <= ACCESS_HOPS) return false;
  const whole = evidence.siblings.filter(({ path }) => path?.reached === true);
  return whole.some(({ path }) => path?.hops.some(({ addrs }) => addrs.some((addr) => last.addrs.includes(addr))));
}

/** Where the fault lies. `aim` is what the edge tried. */
export function verdictOf(evidence: Evidence, aim: EdgeAim): Verdict {
  const all = votes(evidence, aim);
  const fine = all.filter(({ opinion }) => opinion === "fine");
  const failed = all.filter(({ opinion }) => opinion === "failed");
  if (fine.length === 0 && failed.length === 0) return "unclear";
  if (fine.length === 0) return failed.some(({ same_site }) => !same_site) ? "target" : "site";
  const failing = failed.filter(({ by }) => by === "client");
  if (failing.length > 0) {
    const onlyHere = failing.every(({ same_site }) => same_site) && fine.every(({ same_site }) => !same_site);
    return onlyHere ? "site" : "path";
  }
  if (fine.some(({ by }) => by === "client")) return endsOnSharedWay(evidence) ? "path" : "access";
  // The edge alone could look: the client's own path has to tell how far its packets come.
  const last = stopsAfter(evidence);
  if (last === undefined) return "unclear";
  return last.ttl <= ACCESS_HOPS ? "access" : "path";
}

function listed(some: readonly Vote[]): string {
  const clients = some.filter(({ by }) => by === "client").length;
  const parts = [
    ...(some.some(({ by }) => by === "edge") ? ["the server"] : []),
    ...(clients > 0 ? [clients === 1 ? "1 other client" : `${clients} other clients`] : []),
  ];
  return parts.join(" and ");
}

/** What the client's path adds, with a blank before it. */
function waySays(diff: Evidence["diff"]): string {
  if (diff === null || diff.outcome === "same") return "";
  const says = diff.outcome === "unknown" ? stopSays(diff) : diff.says;
  return says === "" ? "" : ` ${says}`;
}

/** One sentence or two for people; no other client is named. `site` is the failing client's, empty where it has none. */
export function summaryOf(verdict: Verdict, evidence: Evidence, aim: EdgeAim, target: string, site: string): string {
  const all = votes(evidence, aim);
  const fine = all.filter(({ opinion }) => opinion === "fine");
  const failed = all.filter(({ opinion }) => opinion === "failed");
  const unreached = isUnreached(evidence.failure);
  const [can, cannot] = unreached
    ? [`reached by ${listed(fine)}`, `reaches ${target}`]
    : [`fine for ${listed(fine)}`, `gets a good answer from ${target}`];
  const way = waySays(evidence.diff);
  switch (verdict) {
    case "access":
      return `${target} fails for this client alone: it is ${can}.${way}`;
    case "site": {
      const here = site === "" ? "this client's site" : site;
      if (fine.length === 0) return `No client of ${here} that looked ${cannot}; nobody outside could look.${way}`;
      return `No client of ${here} that looked ${cannot}; it is ${can} elsewhere.${way}`;
    }
    case "path":
      if (failed.length === 0)
        return `${target} is ${can}, but this client's packets end on their way, beyond its own access.${way}`;
      return `${target} is ${can}, but not by this client and ${listed(failed)}: a part of the network between is broken.${way}`;
    case "target":
      return `Nobody who looked ${cannot}: neither this client nor ${listed(failed)}.`;
    case "unclear":
      if (fine.length > 0) return `${target} fails for this client but is ${can}; no other client could look.${way}`;
      return `${target} fails for this client; nobody else could tell whether it is alive.${way}`;
  }
}

/** What is said until the witnesses have spoken. */
export function openingSummary({ type, error, loss_pct }: Evidence["failure"], target: string): string {
  const lost = loss_pct === null ? "it failed" : `${Math.round(loss_pct)} % of its packets were lost`;
  return `${type} to ${target}: ${error?.message ?? lost}. Witnesses are being heard.`.slice(0, 500);
}
