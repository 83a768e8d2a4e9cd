// What was measured and not yet acknowledged, on disk. Every item gets the next number of one gapless count per client.
// Write-ahead log with a full sync: an item that add() returned a number for survives kill -9 and a power cut. An outbox in
// memory (path MEMORY) promises nothing of the kind; it stands in while the disk takes nothing (outbox-store.ts).

import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { diskProblem, sqliteCode } from "./disk.ts";
import { Counters, type Counts } from "./outbox-counters.ts";
import { Gaps, type Range } from "./outbox-gaps.ts";
import { encode, Items, type Kind } from "./outbox-items.ts";
import { OutboxRoom } from "./outbox-room.ts";

/** Numbers from..to, each in an item or in a dropped range. */
export interface Batch {
  readonly from: number;
  readonly to: number;
  readonly results: Record<string, unknown>[];
  readonly hosts: Record<string, unknown>[];
  readonly dropped: Range[];
}

export interface OutboxLimits {
  readonly items: number;
  readonly bytes: number;
}

/** Path of an outbox that is no file. */
export const MEMORY = ":memory:";
const SQLITE_FULL = 13;
const DEFAULT_LIMITS: OutboxLimits = { items: 500_000, bytes: 200 * 1024 * 1024 };
/** A full outbox drops the oldest until this much is left, so that it need not be done for every item. */
const KEPT = 0.95;
/** No client gets as far in a lifetime. Counting on from more, numbers would soon no longer be exact, nor readable. */
export const LARGEST = 2 ** 52;
/** Ranges one upload may name. */
const RANGES_PER_BATCH = 100;

export class Outbox {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #limits: OutboxLimits;
  readonly #room: OutboxRoom | undefined;
  readonly #gaps: Gaps;
  readonly #items: Items;
  readonly #counters: Counters;
  /** Numbers dropped while they were under way: the server may hold them all the same, and then they are not lost. */
  #unsure: number[] = [];

  /** `after`: the number that the first of a new outbox follows. */
  constructor(path: string, limits: OutboxLimits = DEFAULT_LIMITS, after = 0) {
    this.#path = path;
    this.#limits = limits;
    this.#db = new DatabaseSync(path);
    try {
      // Exclusive: two agents on one state directory would both count on from the same number.
      this.#room = path === MEMORY ? undefined : new OutboxRoom(this.#db, path);
      this.#items = new Items(this.#db);
      this.#gaps = new Gaps(this.#db);
      this.#counters = new Counters(this.#db);
      this.#items.recount(this.#state.acked);
      if (after > 0) this.#counters.set({ next: after + 1, sent: after, acked: after });
      this.#room?.prepare();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** Items that wait. */
  get depth(): number {
    return this.#items.size.count;
  }

  /** Numbers given up so far: the outbox was full, or the server asked for what it had acknowledged before. */
  get dropped(): number {
    return this.#state.dropped;
  }

  /** Whether numbers are on their way to the server that it did not acknowledge. */
  get inFlight(): boolean {
    return this.#state.sent > this.#state.acked;
  }

  /** The highest number that the server has acknowledged. */
  get acknowledged(): number {
    return this.#state.acked;
  }

  /** The highest number that was ever put in an upload. */
  get sent(): number {
    return this.#state.sent;
  }

  /** Whether the disk lets it hold no more than it does: the oldest goes when something comes. */
  get short(): boolean {
    return this.#room?.short === true;
  }

  /** The number the next item will get. */
  get next(): number {
    return this.#state.next;
  }

  get #state(): Readonly<Counts> {
    return this.#counters.counts;
  }

  /** Stores an item (without its seq) and answers its number. */
  add(kind: Kind, item: Record<string, unknown>): number {
    const seq = this.#state.next;
    const body = encode(item);
    this.#room?.provide();
    if (this.#room?.tight) this.#addForOldest(kind, body);
    else this.#transaction(() => this.#append(kind, body));
    const { items, bytes } = this.#limits;
    const { size } = this.#items;
    if (size.count > items || size.bytes > bytes) this.#transaction(() => this.#shed(items * KEPT, bytes * KEPT));
    return seq;
  }

  /** The oldest items that fit, or undefined when there are none. `maxBytes` counts the items' JSON; `last` ends it. */
  batch(maxItems: number, maxBytes: number, last = Number.MAX_SAFE_INTEGER): Batch | undefined {
    const from = this.#state.acked + 1;
    const gone = this.#gaps.since(from);
    const batch = { from, to: from - 1, results: [], hosts: [], dropped: [] } as { -readonly [Key in keyof Batch]: Batch[Key] };
    let bytes = 0;
    const passGone = () => {
      for (let range = gone[0]; range?.[0] === batch.to + 1 && batch.dropped.length < RANGES_PER_BATCH; range = gone[0]) {
        batch.dropped.push(range);
        batch.to = range[1];
        gone.shift();
      }
    };
    passGone();
    for (const { seq, kind, body } of this.#items.after(this.#state.acked)) {
      bytes += Buffer.byteLength(body) + 32;
      const items = batch.results.length + batch.hosts.length;
      if (seq !== batch.to + 1 || seq > last || items >= maxItems || (items > 0 && bytes > maxBytes)) break;
      const list = kind === "host" ? batch.hosts : batch.results;
      list.push({ seq, ...(JSON.parse(body) as Record<string, unknown>) });
      batch.to = seq;
      passGone();
    }
    // Now it hears that they are dropped.
    this.#unsure = this.#unsure.filter((seq) => seq > batch.to);
    return batch.to < from ? undefined : batch;
  }

  /** Notes that numbers up to `to` are about to leave; call before sending. */
  sending(to: number): void {
    if (to > this.#state.sent) this.#counters.set({ sent: to });
  }

  /**
   * The server holds everything up to `to`: forgets it. Where the disk takes not even that, it is remembered without it: the
   * next acknowledgement deletes it, and after a restart the server says again what it holds.
   */
  acked(to: number): void {
    const last = Math.min(to, this.#state.sent);
    if (last <= this.#state.acked) return;
    try {
      this.#delete(last);
      if (this.depth === 0) this.#room?.giveBack();
    } catch (error) {
      if (diskProblem(error, dirname(this.#path)) === undefined) throw error;
      this.#counters.counts = { ...this.#state, acked: last };
      this.#items.recount(last);
    }
  }

  /**
   * Brings both counts together when the server says the last number it holds.
   * What was sent and is held there is acknowledged. What has a number the server already used but was never sent from here
   * (this store was lost or restored) moves behind it, in order. Where the server is further back than what was
   * acknowledged (it lost data), the missing numbers are given up, so that it does not wait for them for ever. A number that
   * nobody can have counted to is not believed.
   */
  reconcile(lastSeq: number): void {
    if (lastSeq > LARGEST) return;
    if (lastSeq >= this.#state.acked && lastSeq <= this.#state.sent) this.acked(lastSeq);
    else this.#agree(lastSeq);
  }

  #agree(lastSeq: number): void {
    if (lastSeq > this.#state.sent) this.#renumber(lastSeq - this.#state.sent, lastSeq);
    else if (lastSeq >= this.#state.acked) this.#delete(lastSeq);
    else this.#giveUp(lastSeq + 1, this.#state.acked);
  }

  #delete(last: number): void {
    this.#transaction(() => {
      this.#forget(last);
      const arrived = this.#unsure.filter((seq) => seq <= last).length;
      this.#counters.set({ acked: last, ...(arrived > 0 ? { dropped: this.#state.dropped - arrived } : {}) });
      this.#unsure = this.#unsure.filter((seq) => seq > last);
    });
  }

  /** Numbers everything that waits from 1 again, for a new client. */
  restart(): void {
    this.#transaction(() => {
      this.#items.forget(this.#state.acked, this.#state.acked);
      if (this.#state.next > 1) this.#items.restart();
      this.#gaps.clear();
      this.#counters.set({ next: this.depth + 1, sent: 0, acked: 0 });
      this.#unsure = [];
    });
  }

  /**
   * Takes over what waits in an outbox that stood in for this one. `base`: the number up to which the server held this one's
   * items when the other began to count; undefined when it never spoke with the server. `anew`: for a new client. All or nothing.
   */
  takeOver(other: Outbox, base: number | undefined, anew = false): void {
    this.#transaction(() => {
      if (anew) this.restart();
      if (base !== undefined) {
        this.#agree(base);
        // What was under way behind that number did not arrive: the other's items have taken the numbers.
        if (this.#state.sent > base) this.#counters.set({ sent: base });
        this.#agree(other.#state.acked);
      }
      let seq = other.#state.acked;
      for (const item of other.#items.after(seq)) {
        this.#skip(item.seq - seq - 1);
        this.#append(item.kind, item.body);
        seq = item.seq;
      }
      this.#skip(other.#state.next - 1 - seq);
      this.#counters.set({ dropped: this.dropped + other.dropped });
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Gives the next number to an item. */
  #append(kind: Kind, body: string): void {
    const seq = this.#state.next;
    this.#items.append({ seq, kind, body });
    this.#counters.set({ next: seq + 1 });
  }

  /** Gives the next numbers to nothing. */
  #skip(numbers: number): void {
    if (numbers <= 0) return;
    const first = this.#state.next;
    this.#gaps.add(first, first + numbers - 1);
    this.#counters.set({ next: first + numbers });
  }

  /** Where there is no room for another item: the oldest make it, more of them with each try. */
  #addForOldest(kind: Kind, body: string): void {
    for (const kept of [KEPT, 0.5, 0]) {
      try {
        this.#transaction(() => {
          // What was acknowledged and could not be deleted goes first.
          this.#items.forget(this.#state.acked, this.#state.acked);
          const { count, bytes } = this.#items.size;
          this.#shed(Math.min(count - 1, count * kept), bytes * kept);
          this.#append(kind, body);
        });
        return;
      } catch (error) {
        if (sqliteCode(error) !== SQLITE_FULL || kept === 0) throw error;
      }
    }
  }

  /** Never-sent numbers start behind `sent`; they all move by the same distance, so order and gaplessness stay. */
  #renumber(distance: number, lastSeq: number): void {
    const { sent } = this.#state;
    this.#transaction(() => {
      this.#forget(sent);
      this.#items.move(distance);
      this.#gaps.move(distance);
      this.#counters.set({ next: Math.max(this.next, sent + 1) + distance, sent: lastSeq, acked: lastSeq });
      this.#unsure = [];
    });
  }

  /** Deletes numbers up to `last`, items and ranges. */
  #forget(last: number): void {
    this.#items.forget(last, this.#state.acked);
    this.#gaps.forget(last);
  }

  #giveUp(first: number, last: number): void {
    this.#transaction(() => {
      this.#gaps.add(first, last);
      this.#counters.set({ acked: first - 1, dropped: this.dropped + last - first + 1 });
    });
  }

  /** Drops the oldest items until at most so many, with so many bytes, are left. */
  #shed(items: number, most: number): void {
    let { count, bytes } = this.#items.size;
    let first = 0;
    let last = 0;
    for (const oldest of this.#items.sizesAfter(this.#state.acked)) {
      if (count <= items && bytes <= most) break;
      last = oldest.seq;
      first ||= last;
      if (last <= this.#state.sent) this.#unsure.push(last);
      count -= 1;
      bytes -= oldest.bytes;
    }
    if (last === 0) return;
    this.#counters.set({ dropped: this.dropped + this.depth - count });
    this.#items.forget(last, this.#state.acked);
    this.#gaps.add(first, last);
  }

  #transaction(work: () => void): void {
    // Within another one: that one's end decides.
    if (this.#db.isTransaction) {
      work();
      return;
    }
    const { size } = this.#items;
    const [counts, unsure] = [this.#state, [...this.#unsure]];
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#counters.counts = counts;
      this.#items.size = size;
      this.#unsure = unsure;
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}
