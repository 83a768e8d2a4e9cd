// How a path differs from the last good one. Routers that keep silent and flows that take parallel ways are no difference. Pure.
import type { PathDiff, SeenPath, WitnessHop } from "#contract/events";

/** A round trip grew at a hop when it grew by so much more than at the hop before: milliseconds, and share of what it was. */
const STEP = { ms: 5, share: 0.3 } as const;
/** Of a growth so much must be left at every later hop: a router that is slow to answer is passed as quickly as before. */
const LASTING = 0.5;
const STEPS_AT_MOST = 5;

const answers = (hop: WitnessHop | undefined): hop is WitnessHop => hop !== undefined && hop.addrs.length > 0;
const share = (a: WitnessHop, b: WitnessHop): boolean => a.addrs.some((addr) => b.addrs.includes(addr));
/** Hops up to where the path comes back to a router it has left: what goes in circles has come no further. */
function withoutCircle(path: SeenPath): readonly WitnessHop[] {
  if (path.reached === true) return path.hops;
  const met = new Map<string, number>();
  let before: string | undefined;
  for (const [at, { addrs }] of path.hops.entries()) {
    const [addr] = addrs;
    if (addr === undefined) continue;
    if (addr !== before && met.has(addr)) return path.hops.slice(0, at);
    met.set(addr, at);
    before = addr;
  }
  return path.hops;
}

/** The last hop that answers; undefined where none does. */
export const lastAnswering = (path: SeenPath): WitnessHop | undefined => withoutCircle(path).findLast(answers);

/** Hops where both paths have answers, ascending. */
function bothAnswer(before: SeenPath, now: SeenPath): { ttl: number; was: WitnessHop; is: WitnessHop }[] {
  const later = new Map(withoutCircle(now).map((hop) => [hop.ttl, hop]));
  return before.hops.flatMap((was) => {
    const is = later.get(was.ttl);
    return answers(was) && answers(is) ? [{ ttl: was.ttl, was, is }] : [];
  });
}

/** Where other routers answer. One of several parallel next hops that was not met before is none, when the ways meet again. */
function changedHops(before: SeenPath, now: SeenPath): PathDiff["changed"] {
  const pairs = bothAnswer(before, now);
  return pairs.flatMap(({ ttl, was, is }, at) => {
    if (share(was, is)) return [];
    const parallel = was.addrs.length > 1 || is.addrs.length > 1;
    const next = pairs[at + 1];
    if (parallel && next !== undefined && share(next.was, next.is)) return [];
    return [{ ttl, before: was.addrs, now: is.addrs }];
  });
}

/** Where the round trip grows for good. */
function rttSteps(before: SeenPath, now: SeenPath): PathDiff["rtt_steps"] {
  const grown = bothAnswer(before, now).flatMap(({ ttl, was, is }) =>
    was.rtt_median === null || is.rtt_median === null
      ? []
      : [{ ttl, before_ms: was.rtt_median, now_ms: is.rtt_median, by: is.rtt_median - was.rtt_median }],
  );
  const steps = grown.flatMap(({ ttl, before_ms, now_ms, by }, at) => {
    const step = by - Math.max(0, grown[at - 1]?.by ?? 0);
    const lasting = grown.slice(at + 1).every((later) => later.by >= by * LASTING);
    if (step < Math.max(STEP.ms, before_ms * STEP.share) || !lasting) return [];
    return [{ ttl, before_ms, now_ms, step_ms: Math.round(step * 1000) / 1000 }];
  });
  return steps.slice(0, STEPS_AT_MOST);
}

/** What answered before behind the last hop that answers now; empty where nothing is missing. */
function lostHops(before: SeenPath, now: SeenPath): PathDiff["lost"] {
  if (now.reached === true) return [];
  const last = lastAnswering(now)?.ttl ?? 0;
  return before.hops.filter((hop) => hop.ttl > last && answers(hop)).map(({ ttl, addrs }) => ({ ttl, addrs }));
}

const UNKNOWN: Omit<PathDiff, "says"> = {
  outcome: "unknown",
  first_difference_ttl: null,
  stops_after_ttl: null,
  stops_after_addr: null,
  changed: [],
  lost: [],
  rtt_steps: [],
};

/** Whether a run saw the network at all: one that could not be made, or never had its turn, says nothing about the path. */
export function sawNetwork({ hops, error }: SeenPath): boolean {
  if (hops.some(({ sent }) => sent > 0)) return true;
  return (error?.source === "network" && error.code === "no_reply") || (error?.source === "tool" && error.code === "deadline");
}

/** Compares the path with the last good one; either may be missing. */
export function comparePaths(before: SeenPath | null, now: SeenPath | null): PathDiff {
  if (now === null) return { ...UNKNOWN, says: "The path could not be seen." };
  if (!sawNetwork(now))
    return { ...UNKNOWN, says: `The path could not be seen: ${now.error?.message ?? "nothing was measured"}.` };
  const last = now.reached === true ? undefined : (lastAnswering(now) ?? null);
  const stop =
    last === undefined
      ? { stops_after_ttl: null, stops_after_addr: null }
      : { stops_after_ttl: last?.ttl ?? 0, stops_after_addr: last?.addrs[0] ?? null };
  if (before === null) return { ...UNKNOWN, ...stop, says: `There is no earlier path to compare with. ${stopSays(stop)}`.trim() };
  const changed = changedHops(before, now);
  const lost = lostHops(before, now);
  const outcome = lost.length > 0 ? "stops" : changed.length > 0 ? "changed" : "same";
  const diff = {
    outcome,
    first_difference_ttl: changed[0]?.ttl ?? null,
    ...(outcome === "stops" || before.reached === true ? stop : { stops_after_ttl: null, stops_after_addr: null }),
    changed,
    lost,
    rtt_steps: rttSteps(before, now),
  } as const;
  return { ...diff, says: sentence(diff, before, now) };
}

/** Where the path stops, as a sentence; empty where it does not. */
export function stopSays({ stops_after_ttl, stops_after_addr }: Pick<PathDiff, "stops_after_ttl" | "stops_after_addr">): string {
  if (stops_after_ttl === null) return "";
  if (stops_after_ttl === 0) return "No hop answers.";
  return `The path stops after hop ${stops_after_ttl} (${stops_after_addr ?? "unknown"}).`;
}

function sentence(diff: Omit<PathDiff, "says">, before: SeenPath, now: SeenPath): string {
  const parts = [diff.outcome === "stops" ? stopSays(diff) : ""];
  const [first] = diff.changed;
  if (first !== undefined) {
    parts.push(`From hop ${first.ttl} on another way: ${first.now[0] ?? "?"} instead of ${first.before[0] ?? "?"}.`);
  }
  const [step] = diff.rtt_steps;
  if (step !== undefined) parts.push(`The round trip grew by ${step.step_ms.toFixed(1)} ms at hop ${step.ttl}.`);
  if (before.address !== null && now.address !== null && before.address !== now.address) {
    parts.push(`The name led to ${before.address} then and to ${now.address} now.`);
  }
  const told = parts.filter((part) => part !== "");
  return told.length > 0 ? told.join(" ") : "The path is the same as when the target was last reached.";
}
