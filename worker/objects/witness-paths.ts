// The last good path to each target, to compare with when it fails. Paths of traceroute tests are found in the ring; those that
// witnesses saw are kept, and where there are none one is ordered, once a day for each target at most.
import { checkHost, ipVersion } from "#contract/destination";
import type { SeenPath } from "#contract/events";
import type { WireResult } from "#contract/result";
import type { InstructedTest } from "#contract/wire";
import { type Aim, baselineJob, pathHost } from "../analysis/witness-plan.ts";
import { isGoodPath, judge, seenPath } from "../analysis/witness-reading.ts";
import { newId } from "../ids.ts";
import type { Ring } from "../store/ring.ts";
import type { RunOrder } from "./orders.ts";

const PREFIX = "path:";
const DAY_MS = 86_400_000;
/** Orders of paths that nothing failed for: at most one in this time, milliseconds. */
const BASELINE_EVERY_MS = 60_000;
/** Targets whose path is kept. */
const KEPT = 50;
/** Upload rows looked through for a path, newest first. */
const ROWS = 300;
/** A run that was ordered and not answered is forgotten after this long, milliseconds. */
const ANSWER_MS = 60_000;

interface Kept {
  ordered_at: number;
  at: number;
  path: SeenPath | null;
}

export interface PathsParts {
  readonly storage: DurableObjectStorage;
  readonly ring: Ring;
  readonly clientId: () => string;
  readonly tests: () => readonly InstructedTest[];
  readonly order: (order: RunOrder) => boolean;
}

/** One spelling for a target. */
function keyOf(destination: string): string {
  const host = checkHost(destination);
  return host.ok ? host.host : destination.trim();
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || host === "::1" || (ipVersion(host) === 4 && host.startsWith("127."));

export class GoodPaths {
  readonly #parts: PathsParts;
  /** Newest good paths since this object woke. */
  readonly #seen = new Map<string, { at: number; path: SeenPath }>();
  readonly #ordered = new Map<string, { host: string; until: number }>();
  #orderedAt = 0;

  constructor(parts: PathsParts) {
    this.#parts = parts;
  }

  /** Takes note of a result; a path that was ordered, for an event or as a baseline, is kept. */
  took(result: WireResult, now: number, forEvent: boolean): void {
    const ordered = result.run_id === null ? undefined : this.#ordered.get(result.run_id);
    if (ordered !== undefined) this.#ordered.delete(result.run_id ?? "");
    if (!isGoodPath(result)) return;
    const key = keyOf(result.destination);
    const path = seenPath(this.#parts.clientId(), result, now);
    this.#seen.delete(key);
    this.#seen.set(key, { at: now, path });
    const oldest = this.#seen.keys().next().value;
    if (this.#seen.size > KEPT && oldest !== undefined) this.#seen.delete(oldest);
    if (forEvent || ordered?.host === key) this.#keep(key, { ordered_at: now, at: now, path });
  }

  #keep(key: string, kept: Kept): void {
    const { kv } = this.#parts.storage;
    const known = [...kv.list<Kept>({ prefix: PREFIX })];
    if (known.length >= KEPT && kv.get(PREFIX + key) === undefined) {
      const [oldest] = known.sort(([, a], [, b]) => a.ordered_at - b.ordered_at)[0] ?? [];
      if (oldest !== undefined) kv.delete(oldest);
    }
    kv.put(PREFIX + key, kept);
  }

  /** The newest good path to a host that was known before then, epoch milliseconds. */
  last(host: string, before: number): SeenPath | null {
    return this.#atHand(keyOf(host), before) ?? this.#fromRing(keyOf(host), before);
  }

  /** The protocol by which a host was reached last, as far as that is known without looking far. */
  method(host: string): string | null {
    return this.#atHand(keyOf(host), Number.MAX_SAFE_INTEGER)?.method ?? null;
  }

  #atHand(key: string, before: number): SeenPath | null {
    const kept = this.#parts.storage.kv.get<Kept>(PREFIX + key);
    const found = [this.#seen.get(key), kept].flatMap((one) =>
      one?.path && one.at < before ? [{ at: one.at, path: one.path }] : [],
    );
    return found.sort((a, b) => b.at - a.at)[0]?.path ?? null;
  }

  #fromRing(key: string, before: number): SeenPath | null {
    let rows = 0;
    for (const row of this.#parts.ring.backwards(Number.MAX_SAFE_INTEGER, 0)) {
      if (++rows > ROWS) break;
      const found = row.results.findLast(
        ({ item, received_at }) => received_at < before && isGoodPath(item) && keyOf(item.destination) === key,
      );
      if (found !== undefined) return seenPath(this.#parts.clientId(), found.item, found.received_at);
    }
    return null;
  }

  /** A test is fine: sees to it that a path to its target is known, for the day it fails. */
  wantBaseline(aim: Aim, result: WireResult, now: number): void {
    const host = pathHost(aim);
    if (host === undefined || aim.type === "traceroute" || isLoopback(host) || judge(result) !== "fine") return;
    if (now - this.#orderedAt < BASELINE_EVERY_MS) return;
    const key = keyOf(host);
    const traced = (one: InstructedTest) => one.type === "traceroute" && keyOf(one.destination) === key;
    if (this.#parts.tests().some(traced)) return;
    const kept = this.#parts.storage.kv.get<Kept>(PREFIX + key);
    if (kept !== undefined && kept.ordered_at + DAY_MS > now) return;
    const run_id = newId();
    if (!this.#parts.order({ run_id, job: baselineJob(host, aim.params) })) return;
    this.#orderedAt = now;
    for (const [id, { until }] of this.#ordered) if (until < now) this.#ordered.delete(id);
    this.#ordered.set(run_id, { host: key, until: now + ANSWER_MS });
    // Written when it is ordered: an agent that cannot answer must not be asked again with every upload.
    this.#keep(key, { ordered_at: now, at: kept?.at ?? 0, path: kept?.path ?? null });
  }
}
