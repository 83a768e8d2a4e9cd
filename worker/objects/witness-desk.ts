// A target failed for this client: an event is opened, the edge looks, this client's path is seen, other clients are asked, all of
// it within ten seconds; it closes when the test is fine again.
//
// Against noise: only a run that failed by the fault of target, network or resolver, or lost half of at least four packets, opens an
// event; the same test opens one every five minutes at most, one client three a minute; an event stays open while the test fails.
import type { WireResult } from "#contract/result";
import { readSeriesId } from "#contract/series-id";
import type { InstructedTest } from "#contract/wire";
import { comparePaths } from "../analysis/path-diff.ts";
import { summaryOf, verdictOf } from "../analysis/witness.ts";
import { aimKey, edgeAim, pathHost, pathJob, quickCheck, targetName } from "../analysis/witness-plan.ts";
import { bounded, judge, seenPath } from "../analysis/witness-reading.ts";
import { clientObject, type Env, fleet, isLocal } from "../env.ts";
import { newId } from "../ids.ts";
import { logError } from "../log.ts";
import { database } from "../store/database.ts";
import { closeEvent, deleteEventsOf, saveEvent } from "../store/events.ts";
import type { Stored } from "../store/ring.ts";
import type { AlarmClock } from "./alarm-clock.ts";
import { checkFromEdge, INTERRUPTED_CHECK } from "./edge-check.ts";
import type { RunOrder } from "./orders.ts";
import type { Identity } from "./view.ts";
import {
  addSibling,
  adopt,
  type Case,
  concludeHearing,
  hearSibling,
  isHeard,
  openCase,
  toFrame,
  toRow,
  toShare,
} from "./witness-case.ts";
import type { GoodPaths } from "./witness-paths.ts";
import type { SharedEvidence, Sibling, WitnessOrder, WitnessReply, WitnessStatement } from "./witness-wire.ts";

const PREFIX = "event:";
/** The same test opens one event in this time, milliseconds. */
const AGAIN_AFTER_MS = 300_000;
const OPENED_A_MINUTE = 3;
const MINUTE_MS = 60_000;
/** Events open at once; a client for which more fails has one trouble, not many. */
const OPEN_AT_MOST = 32;
/** What another event finds out is waited for until so long before this one's end, milliseconds. */
const SHARE_RESERVE_MS = 500;
/** What D1 did not take is tried again after this long, milliseconds. */
const SAVE_AGAIN_MS = 60_000;

export interface DeskParts {
  readonly context: DurableObjectState;
  readonly env: Env;
  readonly clock: AlarmClock;
  readonly paths: GoodPaths;
  readonly identity: () => Identity | undefined;
  /** A test of the client's instruction; what an agent says of itself decides nothing about whom the edge asks. */
  readonly test: (series: string) => InstructedTest | undefined;
  /** Host and port under which the agent reached this edge. */
  readonly own: () => string | undefined;
  readonly order: (order: RunOrder) => boolean;
  /** Tells live pages. */
  readonly tell: (event: ReturnType<typeof toFrame>) => void;
}

export class WitnessDesk {
  readonly #parts: DeskParts;
  readonly #cases = new Map<string, Case>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** When the alarm was last set for; undefined when it has to be set anew. */
  #due: number | null | undefined;
  /** Writes to D1, one after the other, so that an older state never follows a newer one. */
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: DeskParts) {
    this.#parts = parts;
    for (const [, one] of parts.context.storage.kv.list<Case>({ prefix: PREFIX })) {
      this.#cases.set(one.series, one);
      if (one.completed_at === null) this.#wait(one);
    }
  }

  get #clientId(): string {
    return this.#parts.identity()?.id ?? "";
  }

  #keep(one: Case): void {
    // A client that was deleted meanwhile keeps nothing.
    if (this.#cases.get(one.series) !== one) return;
    this.#parts.context.storage.kv.put(PREFIX + one.series, one);
  }

  #later(work: Promise<unknown>, what: string): void {
    this.#parts.context.waitUntil(work.catch((error) => logError(what, error)));
  }

  // Opening and closing

  /** The newest result of a series came. `fresh`: it was measured just now, and not while the agent was cut off. */
  judged(series: string, newest: Stored<WireResult>, fresh: boolean, now: number): void {
    const test = this.#parts.test(series);
    const verdict = judge(newest.item);
    const known = this.#cases.get(series);
    if (known !== undefined && known.closed_at === null) {
      if (verdict === "fine") this.#close(known, now);
      return;
    }
    if (test === undefined || !fresh) return;
    if (verdict === "fine") this.#parts.paths.wantBaseline(test, newest.item, now);
    if (verdict === "failed" && this.#mayOpen(series, now)) this.#open(series, test, newest, now);
  }

  #mayOpen(series: string, now: number): boolean {
    for (const [key, one] of this.#cases) {
      const over = one.closed_at !== null && one.saved === "closed" && one.opened_at + AGAIN_AFTER_MS <= now;
      if (!over) continue;
      this.#cases.delete(key);
      this.#parts.context.storage.kv.delete(PREFIX + key);
    }
    const all = [...this.#cases.values()];
    const lately = all.filter(({ opened_at }) => opened_at + MINUTE_MS > now).length;
    const open = all.filter(({ closed_at }) => closed_at === null).length;
    return !this.#cases.has(series) && lately < OPENED_A_MINUTE && open < OPEN_AT_MOST && this.#parts.identity() !== undefined;
  }

  #open(series: string, test: InstructedTest, failed: Stored<WireResult>, now: number): void {
    const { type, destination, params } = test;
    const one = openCase(series, { type, destination, params }, failed, this.#clientId, now);
    this.#orderPath(one, failed.item);
    this.#cases.set(series, one);
    this.#keep(one);
    this.#wait(one);
    this.#save(one);
    this.#later(this.#gather(one, failed), "witness_gather");
  }

  /** Orders the path now. Of a DNS test that asks the client's own resolver the agent alone knows where that is. */
  #orderPath(one: Case, failed: WireResult): void {
    const host = pathHost(one.aim) ?? (one.aim.type === "dns" ? (failed.address ?? undefined) : undefined);
    if (one.evidence === null) return;
    if (host === undefined) {
      one.evidence.path_state = "not_applicable";
      return;
    }
    const run_id = newId();
    if (this.#parts.order({ run_id, job: pathJob(host, one.aim.params) })) one.path_run = run_id;
    else one.evidence.path_state = "away";
  }

  #close(one: Case, now: number): void {
    one.closed_at = now;
    this.#keep(one);
    // One that is still being heard is written when that ends, with both.
    if (one.completed_at !== null) this.#save(one);
  }

  /** Closes events of tests that this client no longer runs; all of them when it runs none any more. */
  settle(retired: boolean, now: number): void {
    for (const one of this.#cases.values()) {
      if (one.closed_at === null && (retired || this.#parts.test(one.series) === undefined)) this.#close(one, now);
    }
  }

  /** The client is deleted, and its events with it. */
  async erase(clientId: string): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#cases.clear();
    await this.#saving;
    await deleteEventsOf(database(this.#parts.env.DB), clientId).catch((error) => logError("events_erase", error));
  }

  // Hearing

  async #gather(one: Case, { item, received_at }: Stored<WireResult>): Promise<void> {
    const identity = this.#parts.identity();
    if (identity === undefined) return;
    const aim = edgeAim(one.aim);
    const { test_id, peer_id } = readSeriesId(one.series);
    const { id: client_id, site, tags } = identity;
    const key = aimKey(aim, one.aim);
    const choice = await fleet(this.#parts.env)
      .witnesses({ event_id: one.id, client_id, site, tags, test_id, peer_id, key })
      .catch((error) => {
        logError("witness_choice", error);
        return { role: "lead", siblings: [] as Sibling[] } as const;
      });
    if (choice.role === "follow") {
      one.follows = choice.of;
      this.#keep(one);
      return this.#follow(one, choice.shared ?? undefined, one.deadline - Date.now() - SHARE_RESERVE_MS);
    }
    const host = pathHost(one.aim);
    const order: WitnessOrder = {
      event_id: one.id,
      victim: client_id,
      series: one.series,
      since: received_at - item.duration_ms,
      path: host === undefined ? null : pathJob(host, one.aim.params),
      check: quickCheck(one.aim) ?? null,
    };
    // All are asked before any of them is waited for; a hearing that has no sibling yet is not over while the edge still looks.
    await Promise.all([this.#askEdge(one, aim), ...choice.siblings.map((sibling) => this.#askSibling(one, sibling, order))]);
    this.#heard(one);
  }

  async #askEdge(one: Case, aim: ReturnType<typeof edgeAim>): Promise<void> {
    const check = await checkFromEdge(aim, { local: isLocal(this.#parts.env), own: this.#parts.own() });
    if (one.evidence === null || one.completed_at !== null) return;
    one.evidence.edge = check;
    this.#keep(one);
  }

  async #askSibling(one: Case, sibling: Sibling, order: WitnessOrder): Promise<void> {
    let reply: WitnessReply = { state: "away", same_test: null, path: false, check: false };
    // Awaited from the moment it is asked: what it says may come before its answer to being asked does.
    addSibling(one, sibling, { state: "asked", same_test: null, path: order.path !== null, check: order.check !== null });
    try {
      reply = await clientObject(this.#parts.env, sibling.client_id).testify(order);
    } catch (error) {
      logError("witness_ask", error);
    }
    if (one.completed_at !== null) return;
    answerSibling(one, sibling.client_id, reply);
    this.#keep(one);
  }

  /** A result of this client's own agent; its path is waited for. */
  answered(result: WireResult, now: number): boolean {
    const one = [...this.#cases.values()].find(({ path_run }) => path_run !== null && path_run === result.run_id);
    const host = one === undefined ? undefined : (pathHost(one.aim) ?? result.destination);
    if (one === undefined || result.type !== "traceroute" || result.destination !== host) return false;
    if (one.evidence === null || one.evidence.path_state !== "pending" || one.completed_at !== null) return false;
    one.evidence.path = seenPath(this.#clientId, result, now);
    one.evidence.path_state = "answered";
    this.#heard(one);
    return true;
  }

  /** What a sibling saw. Only who was asked is heard, about the event it was asked for. */
  testimony(eventId: string, from: string, statement: WitnessStatement): void {
    const one = [...this.#cases.values()].find(({ id }) => id === eventId);
    if (one === undefined || one.completed_at !== null || !hearSibling(one, from, statement)) return;
    this.#heard(one);
  }

  /** Something came: it is kept, and the event completed when nothing more is waited for. */
  #heard(one: Case): void {
    if (one.completed_at !== null || !this.#cases.has(one.series)) return;
    this.#keep(one);
    if (isHeard(one)) this.#later(this.#complete(one), "witness_complete");
  }

  /** Shares what another event about the same target has found out, or finds out within the time, milliseconds. */
  async #follow(one: Case, known: SharedEvidence | undefined, wait_ms: number): Promise<void> {
    const identity = this.#parts.identity();
    if (one.follows === null || identity === undefined) return;
    const key = aimKey(edgeAim(one.aim), one.aim);
    const shared = known ?? (await fleet(this.#parts.env).sharedWitness(key, one.follows, wait_ms));
    if (shared === null || one.completed_at !== null || one.evidence?.edge.state !== "pending") return;
    adopt(one, shared, identity);
    this.#heard(one);
  }

  // Completing

  #wait(one: Case): void {
    const timer = setTimeout(() => this.#later(this.#complete(one), "witness_late"), Math.max(0, one.deadline - Date.now()));
    this.#timers.set(one.id, timer);
    this.#later(this.#arm(), "witness_alarm");
  }

  /** Wakes this object for what is still to be done, should it leave memory meanwhile. */
  #arm(): Promise<void> {
    const times = [...this.#cases.values()].flatMap((one) => {
      if (one.completed_at === null) return [one.deadline];
      return isSaved(one) ? [] : [Date.now() + SAVE_AGAIN_MS];
    });
    const due = times.length === 0 ? null : Math.min(...times);
    if (due === this.#due) return Promise.resolve();
    this.#due = due;
    return this.#parts.clock.wakeWitness(due);
  }

  /** The alarm: completes what was interrupted, writes what could not be written. */
  async check(now: number): Promise<void> {
    this.#due = undefined;
    const waiting = [...this.#cases.values()].filter(({ completed_at }) => completed_at === null);
    const due = waiting.filter(({ deadline }) => deadline <= now);
    // An alarm may come a moment early by this clock: it came for the first of them all the same.
    const first = waiting.sort((a, b) => a.deadline - b.deadline).slice(0, 1);
    for (const one of due.length > 0 ? due : first) await this.#complete(one);
    for (const one of this.#cases.values()) if (one.completed_at !== null && !isSaved(one)) this.#save(one);
    await this.#saving;
    await this.#arm();
  }

  async #complete(one: Case): Promise<void> {
    if (one.completed_at !== null || one.evidence === null) return;
    clearTimeout(this.#timers.get(one.id));
    this.#timers.delete(one.id);
    // Who was interrupted while it waited asks once more.
    if (one.follows !== null) await this.#follow(one, undefined, 0).catch((error) => logError("witness_share", error));
    const identity = this.#parts.identity();
    const { evidence } = one;
    // What it waited for may have completed it.
    if (one.completed_at !== null || evidence === null || identity === undefined) return;
    one.completed_at = Date.now();
    const host = pathHost(one.aim) ?? evidence.path?.destination;
    evidence.last_good = host === undefined ? null : this.#parts.paths.last(host, one.opened_at);
    evidence.diff = evidence.path_state === "not_applicable" ? null : comparePaths(evidence.last_good, evidence.path);
    concludeHearing(evidence, INTERRUPTED_CHECK);
    const aim = edgeAim(one.aim);
    one.verdict = verdictOf(evidence, aim);
    one.summary = summaryOf(one.verdict, evidence, aim, targetName(one.aim), identity.site);
    one.evidence = bounded(evidence);
    this.#keep(one);
    this.#save(one);
    if (one.follows === null) {
      await fleet(this.#parts.env).shareWitness(aimKey(aim, one.aim), toShare(one, one.evidence ?? evidence, identity));
    }
  }

  // D1

  /** Writes the case as it stands when its turn comes, and tells live pages then: what they read now has it. */
  #save(one: Case): void {
    this.#saving = this.#saving
      .then(() => this.#write(one))
      .catch((error) => logError("event_save", error))
      .then(() => this.#cases.get(one.series) === one && this.#parts.tell(toFrame(one)))
      .then(() => undefined);
    this.#later(
      this.#saving.then(() => this.#arm()),
      "witness_alarm",
    );
  }

  async #write(one: Case): Promise<void> {
    if (isSaved(one) || this.#cases.get(one.series) !== one) return;
    const db = database(this.#parts.env.DB);
    const wanted = wantedOf(one);
    const row = toRow(one);
    if (row !== undefined) await saveEvent(db, row);
    else await closeEvent(db, one.id, one.closed_at ?? Date.now());
    one.saved = wanted;
    // D1 has it whole: this object needs to know no more than that it is open.
    if (wanted !== "opened") one.evidence = null;
    if (this.#cases.get(one.series) === one) this.#keep(one);
  }
}

/** What of a case D1 should hold by now. */
const wantedOf = ({ completed_at, closed_at }: Case): Exclude<Case["saved"], "none"> =>
  completed_at === null ? "opened" : closed_at === null ? "complete" : "closed";
const isSaved = (one: Case): boolean => one.saved === wantedOf(one);

/** What a sibling answered at once: what it will not say is no longer waited for. */
function answerSibling(one: Case, clientId: string, reply: WitnessReply): void {
  const sibling = one.evidence?.siblings.find(({ client_id }) => client_id === clientId);
  const awaited = one.awaited[clientId];
  if (sibling === undefined) return;
  if (sibling.same_test === null) sibling.same_test = reply.same_test;
  if (awaited !== undefined) {
    awaited.path &&= reply.path;
    awaited.check &&= reply.check;
    if (awaited.path || awaited.check) return;
    delete one.awaited[clientId];
  }
  sibling.state = reply.state === "asked" ? "answered" : reply.state;
}
