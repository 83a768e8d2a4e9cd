// The fleet's part: who may witness for whom, and one set of witnesses for a target that fails for many at once.
import type { FleetClient } from "#contract/api";
import type { Env } from "../env.ts";
import { logError } from "../log.ts";
import { database } from "../store/database.ts";
import { clientsOf, findTest } from "../store/tests.ts";
import type { SharedEvidence } from "./witness-wire.ts";
import {
  ASKED_A_MINUTE,
  SHARED_MS,
  SIBLINGS,
  type Sibling,
  WITNESS_MS,
  type WitnessAsk,
  type WitnessChoice,
} from "./witness-wire.ts";

const MINUTE_MS = 60_000;

/** An event that asked witnesses, and what came of it. Lost when the fleet's object leaves memory: the next event asks anew. */
interface Lead {
  event_id: string;
  at: number;
  shared: SharedEvidence | null;
  /** Those that wait for it. */
  waiting: ((shared: SharedEvidence) => void)[];
}

/** Whether a later event may share it: while it is being heard, and afterwards where nobody reached the target. */
const serves = ({ shared, at }: Lead, now: number): boolean => (shared === null ? at + WITNESS_MS > now : shared.lasts);

interface Candidate extends Sibling {
  readonly rank: number;
}

export class WitnessRegister {
  readonly #env: Env;
  readonly #lines: ReadonlyMap<string, FleetClient>;
  readonly #leads = new Map<string, Lead>();
  /** When each client was asked to witness. */
  readonly #asked = new Map<string, number[]>();
  /** Which clients run a test, read once a minute. */
  readonly #runners = new Map<string, { at: number; ids: Promise<Set<string>> }>();

  constructor(env: Env, lines: ReadonlyMap<string, FleetClient>) {
    this.#env = env;
    this.#lines = lines;
  }

  async choose(ask: WitnessAsk, now: number): Promise<WitnessChoice> {
    this.#forget(now);
    const lead = this.#leads.get(ask.key);
    if (lead !== undefined && lead.event_id !== ask.event_id && serves(lead, now)) {
      return { role: "follow", of: lead.event_id, shared: lead.shared };
    }
    // Taken before anything is awaited: of many that ask at once the first one leads.
    this.#leads.set(ask.key, { event_id: ask.event_id, at: now, shared: null, waiting: [] });
    const runners = await this.#runnersOf(ask.test_id, now);
    const siblings = this.#pick(ask, runners, now);
    for (const { client_id } of siblings) this.#asked.set(client_id, [...(this.#asked.get(client_id) ?? []), now]);
    return { role: "lead", siblings };
  }

  /** The leading event of a target has its evidence. */
  share(key: string, shared: SharedEvidence): void {
    const lead = this.#leads.get(key);
    if (lead?.event_id !== shared.event_id) return;
    lead.shared = shared;
    for (const resolve of lead.waiting.splice(0)) resolve(shared);
  }

  /** The leading event closed: what fails from now on is another matter. */
  end(key: string, eventId: string): void {
    if (this.#leads.get(key)?.event_id === eventId) this.#leads.delete(key);
  }

  /** What that event found out, waited for at most so long, milliseconds; null when there is nothing by then. */
  async shared(key: string, eventId: string, wait_ms: number): Promise<SharedEvidence | null> {
    const lead = this.#leads.get(key);
    if (lead?.event_id !== eventId) return null;
    if (lead.shared !== null || wait_ms <= 0) return lead.shared;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), wait_ms);
      lead.waiting.push((shared) => {
        clearTimeout(timer);
        resolve(shared);
      });
    });
  }

  #forget(now: number): void {
    // Those that still wait for one are let go by their own time.
    for (const [key, { at }] of this.#leads) if (at + SHARED_MS < now) this.#leads.delete(key);
    for (const [id, { at }] of this.#runners) if (at + MINUTE_MS < now) this.#runners.delete(id);
    for (const [id, times] of this.#asked) {
      const recent = times.filter((time) => time + MINUTE_MS >= now);
      if (recent.length > 0) this.#asked.set(id, recent);
      else this.#asked.delete(id);
    }
  }

  #runnersOf(testId: string, now: number): Promise<Set<string>> {
    const known = this.#runners.get(testId);
    if (known !== undefined) return known.ids;
    const ids = this.#readRunners(testId);
    this.#runners.set(testId, { at: now, ids });
    return ids;
  }

  async #readRunners(testId: string): Promise<Set<string>> {
    try {
      const db = database(this.#env.DB);
      const row = await findTest(db, testId);
      return new Set(row === undefined ? [] : (await clientsOf(db, row)).map(({ id }) => id));
    } catch (error) {
      logError("witness_runners", error);
      return new Set(); // Without D1 any neighbour is asked.
    }
  }

  /** Clients that are there, are not the one that failed, and are not asked too often. */
  #candidates(ask: WitnessAsk, runners: ReadonlySet<string>): Candidate[] {
    const all: Candidate[] = [];
    for (const line of this.#lines.values()) {
      if (line.status !== "online" && line.status !== "testing") continue;
      if (line.id === ask.client_id || line.id === ask.peer_id) continue;
      const times = this.#asked.get(line.id)?.length ?? 0;
      const runs_test = runners.has(line.id);
      if (times >= ASKED_A_MINUTE || (ask.peer_id !== null && !runs_test)) continue;
      const same_site = ask.site !== "" && line.site === ask.site;
      const shared = Object.entries(ask.tags).filter(([key, value]) => line.tags[key] === value).length;
      const near = (same_site ? 4 : 0) + Math.min(shared, 3);
      // A client of the same test knows whether it is fine; one without failures can tell; then neighbours; then who was asked least.
      const rank = (runs_test ? 1000 : 0) + (line.failing === 0 ? 100 : 0) + near * 8 - times;
      all.push({ client_id: line.id, name: line.name, site: line.site, same_site, runs_test, rank });
    }
    return all.sort((a, b) => b.rank - a.rank || (a.client_id < b.client_id ? -1 : 1));
  }

  /** The best one, and beside it rather one of the other kind: a site's own client and one elsewhere tell the two apart. */
  #pick(ask: WitnessAsk, runners: ReadonlySet<string>, now: number): Sibling[] {
    this.#forget(now);
    const candidates = this.#candidates(ask, runners);
    const picked: Candidate[] = candidates.slice(0, 1);
    const [first] = picked;
    const rest = candidates.slice(1);
    const equal = (one: Candidate) => first !== undefined && one.runs_test === first.runs_test;
    const other = rest.find((one) => equal(one) && one.same_site !== first?.same_site);
    for (const one of [...(other === undefined ? [] : [other]), ...rest]) {
      if (picked.length < SIBLINGS && !picked.includes(one)) picked.push(one);
    }
    return picked.map(({ rank: _, ...sibling }) => sibling);
  }
}
