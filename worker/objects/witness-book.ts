// The cases of one client: kept in its object's storage, so that they outlive an eviction, written to D1, woken for by the alarm.
import type { NetworkEvent } from "#contract/events";
import type { Env } from "../env.ts";
import { logError } from "../log.ts";
import { database } from "../store/database.ts";
import { closeEvent, deleteEventsOf, saveEvent } from "../store/events.ts";
import type { AlarmClock } from "./alarm-clock.ts";
import { type Case, toFrame, toRow } from "./witness-case.ts";

const PREFIX = "event:";
/** The same test opens one event in this time, milliseconds. */
const AGAIN_AFTER_MS = 300_000;
const OPENED_A_MINUTE = 3;
const MINUTE_MS = 60_000;
/** Events open at once; a client for which more fails has one trouble, not many. */
const OPEN_AT_MOST = 32;
/** What D1 did not take is tried again after this long, milliseconds. */
const SAVE_AGAIN_MS = 60_000;

export interface BookParts {
  readonly context: DurableObjectState;
  readonly env: Env;
  readonly clock: AlarmClock;
  /** Ends the hearing of a case: its witnesses have had their time. */
  readonly complete: (one: Case) => Promise<void>;
  /** Tells live pages. */
  readonly tell: (event: NetworkEvent) => void;
}

export class CaseBook {
  readonly #parts: BookParts;
  readonly #cases = new Map<string, Case>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** When the alarm was last set for; undefined when it has to be set anew. */
  #due: number | null | undefined;
  /** Writes to D1, one after the other, so that an older state never follows a newer one. */
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: BookParts) {
    this.#parts = parts;
    for (const [, one] of parts.context.storage.kv.list<Case>({ prefix: PREFIX })) {
      this.#cases.set(one.series, one);
      if (one.completed_at === null) this.#wait(one);
    }
  }

  get all(): Case[] {
    return [...this.#cases.values()];
  }

  of(series: string): Case | undefined {
    return this.#cases.get(series);
  }

  /** Does work that nobody waits for. */
  later(work: Promise<unknown>, what: string): void {
    this.#parts.context.waitUntil(work.catch((error) => logError(what, error)));
  }

  /** Whether a series may open an event now: not so soon again, nor when many did just now. */
  mayOpen(series: string, now: number): boolean {
    this.#prune(now);
    const lately = this.all.filter(({ opened_at }) => opened_at + MINUTE_MS > now).length;
    const open = this.all.filter(({ closed_at }) => closed_at === null).length;
    return !this.#cases.has(series) && lately < OPENED_A_MINUTE && open < OPEN_AT_MOST;
  }

  /** A case that is over is remembered as long as it keeps its test from opening another one. */
  #prune(now: number): void {
    for (const [series, one] of this.#cases) {
      if (one.closed_at === null || one.saved !== "closed" || one.opened_at + AGAIN_AFTER_MS > now) continue;
      this.#cases.delete(series);
      this.#parts.context.storage.kv.delete(PREFIX + series);
    }
  }

  open(one: Case): void {
    this.#cases.set(one.series, one);
    this.keep(one);
    this.#wait(one);
    this.save(one);
  }

  /** Makes a case durable as it stands. */
  keep(one: Case): void {
    // A client that was deleted meanwhile keeps nothing.
    if (this.#cases.get(one.series) === one) this.#parts.context.storage.kv.put(PREFIX + one.series, one);
  }

  #wait(one: Case): void {
    const late = () => this.later(this.#parts.complete(one), "witness_late");
    this.#timers.set(one.id, setTimeout(late, Math.max(0, one.deadline - Date.now())));
    this.later(this.#arm(), "witness_alarm");
  }

  /** A case was completed: nobody needs to be woken for it. */
  waited(one: Case): void {
    clearTimeout(this.#timers.get(one.id));
    this.#timers.delete(one.id);
  }

  /** Wakes this object for what is still to be done, should it leave memory meanwhile. */
  #arm(): Promise<void> {
    const times = this.all.flatMap((one) => {
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
    const waiting = this.all.filter(({ completed_at }) => completed_at === null);
    const due = waiting.filter(({ deadline }) => deadline <= now);
    // An alarm may come a moment early by this clock: it came for the first of them all the same.
    const first = waiting.sort((a, b) => a.deadline - b.deadline).slice(0, 1);
    for (const one of due.length > 0 ? due : first) await this.#parts.complete(one);
    for (const one of this.all) if (one.completed_at !== null && !isSaved(one)) this.save(one);
    await this.#saving;
    await this.#arm();
  }

  /** Writes the case as it stands when its turn comes, and tells live pages then: what they read now has it. */
  save(one: Case): void {
    this.#saving = this.#saving.then(() => this.#saveAndTell(one));
    this.later(
      this.#saving.then(() => this.#arm()),
      "witness_alarm",
    );
  }

  async #saveAndTell(one: Case): Promise<void> {
    try {
      await this.#write(one);
    } catch (error) {
      logError("event_save", causeOf(error)); // Written again when the alarm comes.
    }
    if (this.#cases.get(one.series) === one) this.#parts.tell(toFrame(one));
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
    this.keep(one);
  }

  /** The client is deleted, and its events with it. */
  async erase(clientId: string): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#cases.clear();
    await this.#saving;
    try {
      await deleteEventsOf(database(this.#parts.env.DB), clientId);
    } catch (error) {
      logError("events_erase", causeOf(error)); // Nobody sees events of a client that is gone.
    }
  }
}

/** A failed query's message holds all that was to be written; its cause says what went wrong. */
const causeOf = (error: unknown): unknown => (error instanceof Error ? (error.cause ?? error) : error);

/** What of a case D1 should hold by now. */
const wantedOf = ({ completed_at, closed_at }: Case): Exclude<Case["saved"], "none"> =>
  completed_at === null ? "opened" : closed_at === null ? "complete" : "closed";
const isSaved = (one: Case): boolean => one.saved === wantedOf(one);
