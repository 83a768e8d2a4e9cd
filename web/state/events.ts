// Events: what failed for a client, and what the witnesses saw, made ready to be shown.
import type { Evidence, NetworkEvent, Opinion, SiblingEvidence, Verdict, WitnessHop } from "#contract/events";
import type { Tone } from "../health.ts";

const VERDICT_WORD: Record<Verdict, string> = {
  access: "the client's own line",
  site: "the site",
  path: "the way there",
  target: "the destination",
  unclear: "not clear",
};

/** Where the fault lies, in two or three words; null while the witnesses are still heard. */
export const verdictWord = (verdict: Verdict | null): string | null => (verdict === null ? null : VERDICT_WORD[verdict]);

/** An event that is over is no worry any more. */
export function eventTone({ closed_at, verdict }: Pick<NetworkEvent, "closed_at" | "verdict">): Tone {
  if (closed_at !== null) return "none";
  return verdict === "unclear" || verdict === "path" ? "warn" : "bad";
}

/** Open ones first, then the newest. */
export function sortedEvents(events: readonly NetworkEvent[]): NetworkEvent[] {
  const order = (a: NetworkEvent, b: NetworkEvent) =>
    Number(a.closed_at !== null) - Number(b.closed_at !== null) || Date.parse(b.opened_at) - Date.parse(a.opened_at);
  return events.toSorted(order);
}

/** The events with one that arrived in the place of what was known of it. */
export const withEvent = (events: readonly NetworkEvent[], event: NetworkEvent): NetworkEvent[] =>
  sortedEvents([...events.filter(({ id }) => id !== event.id), event]);

const OPINION_TONE: Record<Opinion, Tone> = { fine: "ok", failed: "bad", unknown: "none" };

/** What a witness makes of the destination. */
export function siblingWord({ state, opinion }: Pick<SiblingEvidence, "state" | "opinion">): { tone: Tone; word: string } {
  if (opinion === "fine") return { tone: OPINION_TONE.fine, word: "reaches it" };
  if (opinion === "failed") return { tone: OPINION_TONE.failed, word: "does not reach it either" };
  const words: Record<SiblingEvidence["state"], string> = {
    pending: "is looking",
    answered: "cannot tell",
    silent: "did not answer in time",
    busy: "is busy with other questions",
    away: "is not connected",
  };
  return { tone: "none", word: words[state] };
}

const PATH_STATE: Record<Evidence["path_state"], string> = {
  pending: "The path is being traced.",
  answered: "",
  silent: "The client did not send its path in time.",
  away: "The client was not connected, so its path could not be traced.",
  not_applicable: "There is no path to trace for this kind of test.",
};

export const pathStateText = (state: Evidence["path_state"]) => PATH_STATE[state];

export type HopState = "same" | "changed" | "lost" | "silent" | "new";

export interface DiffRow {
  readonly ttl: number;
  readonly before: WitnessHop | null;
  readonly now: WitnessHop | null;
  readonly state: HopState;
}

const answers = (hop: WitnessHop | undefined): hop is WitnessHop => hop !== undefined && hop.addrs.length > 0;

/** The two paths beside each other, hop by hop; what changed and what was lost is what the server found. */
export function diffRows({ path, last_good, diff }: Pick<Evidence, "path" | "last_good" | "diff">): DiffRow[] {
  const before = new Map(last_good?.hops.map((hop) => [hop.ttl, hop]));
  const now = new Map(path?.hops.map((hop) => [hop.ttl, hop]));
  const changed = new Set(diff?.changed.map(({ ttl }) => ttl));
  const lost = new Set(diff?.lost.map(({ ttl }) => ttl));
  const ttls = [...new Set([...before.keys(), ...now.keys()])].sort((a, b) => a - b);
  return ttls.map((ttl) => {
    const [was, is] = [before.get(ttl), now.get(ttl)];
    const silent = answers(is) ? "same" : "silent";
    const plain = answers(is) && !answers(was) && last_good !== null ? "new" : silent;
    const state = lost.has(ttl) ? "lost" : changed.has(ttl) ? "changed" : plain;
    return { ttl, before: was ?? null, now: is ?? null, state };
  });
}

export const HOP_WORD: Record<HopState, { tone: Tone; word: string }> = {
  same: { tone: "ok", word: "as before" },
  changed: { tone: "warn", word: "another router" },
  lost: { tone: "bad", word: "no longer answers" },
  silent: { tone: "none", word: "no answer" },
  new: { tone: "none", word: "did not answer before" },
};
