// A target failed for this client: an event is opened, the edge looks, this client's path is seen, other clients are asked, all of
// it within ten seconds; it closes when the test is fine again.
//
// Against noise: only a run that failed by the fault of target, network or resolver, or lost half of at least four packets, opens an
// event; the same test opens one every five minutes at most, one client three a minute; an event stays open while the test fails.
import type { NetworkEvent } from "#contract/events";
import type { WireResult } from "#contract/result";
import { readSeriesId } from "#contract/series-id";
import type { InstructedTest } from "#contract/wire";
import { comparePaths } from "../analysis/path-diff.ts";
import { summaryOf, verdictOf } from "../analysis/witness.ts";
import { aimKey, type EdgeAim, edgeAim, pathHost, pathJob, quickCheck, targetName } from "../analysis/witness-plan.ts";
import { bounded, judge, seenPath } from "../analysis/witness-reading.ts";
import { clientObject, type Env, fleet, isLocal } from "../env.ts";
import { newId } from "../ids.ts";
import { logError } from "../log.ts";
import type { Stored } from "../store/ring.ts";
import type { AlarmClock } from "./alarm-clock.ts";
import { checkFromEdge, INTERRUPTED_CHECK } from "./edge-check.ts";
import type { RunOrder } from "./orders.ts";
import type { Identity } from "./view.ts";
import { CaseBook } from "./witness-book.ts";
import {
  addSibling,
  adopt,
  answerSibling,
  type Case,
  concludeHearing,
  hearSibling,
  isHeard,
  openCase,
  toShare,
} from "./witness-case.ts";
import type { GoodPaths } from "./witness-paths.ts";
import type { SharedEvidence, Sibling, WitnessChoice, WitnessOrder, WitnessReply, WitnessStatement } from "./witness-wire.ts";

/** What another event finds out is waited for until so long before this one's end, milliseconds. */
const SHARE_RESERVE_MS = 500;

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
  readonly tell: (event: NetworkEvent) => void;
}

/** What other events about the same target are known by. */
const keyOf = ({ aim }: Case): string => aimKey(edgeAim(aim), aim);

export class WitnessDesk {
  readonly #parts: DeskParts;
  readonly #book: CaseBook;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    const { context, env, clock, tell } = parts;
    this.#book = new CaseBook({ context, env, clock, tell, complete: (one) => this.#complete(one) });
  }

  // Opening and closing

  /** The newest result of a series came. `fresh`: it was measured just now, and not while the agent was cut off. */
  judged(series: string, newest: Stored<WireResult>, fresh: boolean, now: number): void {
    const test = this.#parts.test(series);
    const verdict = judge(newest.item);
    const known = this.#book.of(series);
    if (known !== undefined && known.closed_at === null) {
      if (verdict === "fine") this.#close(known, now);
      return;
    }
    if (test === undefined || !fresh) return;
    if (verdict === "fine") this.#parts.paths.wantBaseline(test, newest.item, now);
    if (verdict === "failed" && this.#book.mayOpen(series, now)) this.#open(series, test, newest, now);
  }

  #open(series: string, test: InstructedTest, failed: Stored<WireResult>, now: number): void {
    const identity = this.#parts.identity();
    if (identity === undefined) return;
    const { type, destination, params } = test;
    const one = openCase(series, { type, destination, params }, failed, identity.id, now);
    this.#orderPath(one, failed.item);
    this.#book.open(one);
    this.#book.later(this.#gather(one, failed, identity), "witness_gather");
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
    const job = pathJob(host, one.aim.params, this.#parts.paths.method(host));
    if (this.#parts.order({ run_id, job })) one.path_run = run_id;
    else one.evidence.path_state = "away";
  }

  #close(one: Case, now: number): void {
    one.closed_at = now;
    this.#book.keep(one);
    if (one.leads) this.#book.later(fleet(this.#parts.env).endWitness(keyOf(one), one.id), "witness_end");
    // One that is still being heard is written when that ends, with both.
    if (one.completed_at !== null) this.#book.save(one);
  }

  /** Closes events of tests that this client no longer runs; all of them when it runs none any more. */
  settle(retired: boolean, now: number): void {
    for (const one of this.#book.all) {
      if (one.closed_at === null && (retired || this.#parts.test(one.series) === undefined)) this.#close(one, now);
    }
  }

  check(now: number): Promise<void> {
    return this.#book.check(now);
  }

  erase(clientId: string): Promise<void> {
    return this.#book.erase(clientId);
  }

  // Hearing

  async #gather(one: Case, failed: Stored<WireResult>, identity: Identity): Promise<void> {
    const choice = await this.#choose(one, identity);
    if (choice.role === "follow") {
      one.follows = choice.of;
      this.#book.keep(one);
      return this.#follow(one, choice.shared ?? undefined, one.deadline - Date.now() - SHARE_RESERVE_MS);
    }
    one.leads = true;
    const host = pathHost(one.aim);
    const order: WitnessOrder = {
      event_id: one.id,
      victim: identity.id,
      series: one.series,
      since: failed.received_at - failed.item.duration_ms,
      path: host === undefined ? null : pathJob(host, one.aim.params, this.#parts.paths.method(host)),
      check: quickCheck(one.aim) ?? null,
    };
    // All are asked before any of them is waited for; a hearing that has no sibling yet is not over while the edge still looks.
    const asked = choice.siblings.map((sibling) => this.#askSibling(one, sibling, order));
    await Promise.all([this.#askEdge(one, edgeAim(one.aim)), ...asked]);
    this.#heard(one);
  }

  async #choose(one: Case, { id, site, tags }: Identity): Promise<WitnessChoice> {
    try {
      const ask = { event_id: one.id, client_id: id, site, tags, ...readSeriesId(one.series), key: keyOf(one) };
      return await fleet(this.#parts.env).witnesses(ask);
    } catch (error) {
      logError("witness_choice", error); // Without the fleet the edge and this client look alone.
      return { role: "lead", siblings: [] };
    }
  }

  async #askEdge(one: Case, aim: EdgeAim): Promise<void> {
    const check = await checkFromEdge(aim, { local: isLocal(this.#parts.env), own: this.#parts.own() });
    if (one.evidence === null || one.completed_at !== null) return;
    one.evidence.edge = check;
    this.#book.keep(one);
  }

  async #askSibling(one: Case, sibling: Sibling, order: WitnessOrder): Promise<void> {
    let reply: WitnessReply = { state: "away", same_test: null, path: false, check: false };
    // Awaited from the moment it is asked: what it says may come before its answer to being asked does.
    addSibling(one, sibling, order);
    try {
      reply = await clientObject(this.#parts.env, sibling.client_id).testify(order);
    } catch (error) {
      logError("witness_ask", error);
    }
    if (one.completed_at !== null) return;
    answerSibling(one, sibling.client_id, reply);
    this.#book.keep(one);
  }

  /** A result of this client's own agent: true for the path that is waited for. */
  answered(result: WireResult, now: number): boolean {
    const one = result.run_id === null ? undefined : this.#book.all.find(({ path_run }) => path_run === result.run_id);
    // An agent answers with what it was asked, or with nothing.
    if (one === undefined || result.type !== "traceroute") return false;
    if (result.destination !== (pathHost(one.aim) ?? result.destination)) return false;
    if (one.evidence === null || one.evidence.path_state !== "pending" || one.completed_at !== null) return false;
    one.evidence.path = seenPath(one.client_id, result, now);
    one.evidence.path_state = "answered";
    this.#heard(one);
    return true;
  }

  /** What a sibling saw. Only who was asked is heard, about the event it was asked for. */
  testimony(eventId: string, from: string, statement: WitnessStatement): void {
    const one = this.#book.all.find(({ id }) => id === eventId);
    if (one !== undefined && one.completed_at === null && hearSibling(one, from, statement)) this.#heard(one);
  }

  /** Something came: it is kept, and the event completed when nothing more is waited for. */
  #heard(one: Case): void {
    if (one.completed_at !== null || this.#book.of(one.series) !== one) return;
    this.#book.keep(one);
    if (isHeard(one)) this.#book.later(this.#complete(one), "witness_complete");
  }

  /** Shares what another event about the same target has found out, or finds out within the time, milliseconds. */
  async #follow(one: Case, known: SharedEvidence | undefined, wait_ms: number): Promise<void> {
    const identity = this.#parts.identity();
    if (one.follows === null || identity === undefined) return;
    const shared = known ?? (await fleet(this.#parts.env).sharedWitness(keyOf(one), one.follows, wait_ms));
    if (shared === null || one.completed_at !== null || one.evidence?.edge.state !== "pending") return;
    adopt(one, shared, identity);
    this.#heard(one);
  }

  // Completing

  async #complete(one: Case): Promise<void> {
    if (one.completed_at !== null || one.evidence === null) return;
    this.#book.waited(one);
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
    this.#book.keep(one);
    this.#book.save(one);
    if (one.leads) await fleet(this.#parts.env).shareWitness(keyOf(one), toShare(one, evidence, identity));
  }
}
