// Empties the outbox towards whatever connection there is: one upload at a time, deleted only when acknowledged.
import { LIMITS } from "#contract/limits";
import type { OutboxFigures, UploadBody } from "#contract/wire";
import type { Cadence } from "./cadence.ts";
import { atTrueTime } from "./clock-marks.ts";
import type { Log } from "./log.ts";
import type { Batch, Outbox } from "./outbox.ts";
import { type Clock, systemClock } from "./scheduler.ts";

export type UploadAnswer = { readonly ack: number } | { readonly need: number };

/** A connection that takes uploads; rejects when one failed. */
export interface Carrier {
  upload(body: UploadBody): Promise<UploadAnswer>;
}

/** What waits, wherever it is kept; see Outbox. */
export type Waiting = Pick<Outbox, "batch" | "sending" | "acked" | "reconcile" | "depth" | "dropped"> &
  Partial<Pick<OutboxFigures, "problem">>;

export interface UploaderParts {
  readonly outbox: () => Waiting;
  readonly boot: string;
  readonly cadence: Cadence;
  /** Agent clock minus edge clock, ms; null while unknown. */
  readonly offset: () => number | null;
  /** The server holds everything up to `to`; `results` of the newest upload were test results, the rest host samples. */
  readonly acked: (to: number, results: number) => void;
  readonly log: Pick<Log, "debug" | "warn">;
  readonly clock?: Clock;
}

/** Room for the body around the items, bytes. */
const ENVELOPE = 8 * 1024;
const SMALLEST = 16 * 1024;
/** Items that come together leave together. */
const GATHER_MS = 50;
/** The same number asked for this often means the two sides cannot agree. */
const STUCK = 3;

export class Uploader {
  readonly #parts: UploaderParts;
  readonly #clock: Clock;
  #carrier: Carrier | undefined;
  #running: Promise<void> | undefined;
  #cancel: () => void = () => {};
  #budget: number = LIMITS.uploadBytes - ENVELOPE;
  #failed = 0;
  /** Uploads that got no answer. */
  failures = 0;

  constructor(parts: UploaderParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
  }

  /** Uses this connection from now on and sends what waits. */
  attach(carrier: Carrier): void {
    this.#carrier = carrier;
    this.#failed = 0;
    this.soon();
  }

  detach(carrier: Carrier): void {
    if (this.#carrier !== carrier) return;
    this.#carrier = undefined;
    this.#cancel();
  }

  /** Whether this is the connection in use. */
  uses(carrier: Carrier): boolean {
    return this.#carrier === carrier;
  }

  /** Sends in a moment, with whatever else comes until then. */
  soon(): void {
    this.#plan(GATHER_MS);
  }

  /** Looks at the cadence again, which may have become quicker. */
  retime(): void {
    this.#plan(this.#parts.cadence.uploadMs);
  }

  /** The server or a proxy called an upload too large: sends half as much at once from now on. */
  shrink(): void {
    this.#budget = Math.max(SMALLEST, Math.floor(this.#budget / 2));
  }

  /** Sends everything now; resolves when it is done or failed. */
  async flush(): Promise<void> {
    this.#cancel();
    this.#running ??= this.#drain()
      // A disk that does not even let itself be read.
      .catch((error: unknown) => this.#fail(String(error)))
      .finally(() => {
        this.#running = undefined;
        if (this.#carrier !== undefined) this.#plan(this.#pause());
      });
    await this.#running;
  }

  #pause(): number {
    const usual = this.#parts.cadence.uploadMs;
    return this.#failed === 0 ? usual : Math.min(usual, 5000 * 2 ** Math.min(this.#failed - 1, 4));
  }

  #plan(ms: number): void {
    this.#cancel();
    if (this.#carrier === undefined) return;
    this.#cancel = this.#clock.after(ms, () => void this.flush());
  }

  async #drain(): Promise<void> {
    let asked = 0;
    let askedFor = -1;
    while (this.#carrier !== undefined) {
      const batch = this.#parts.outbox().batch(LIMITS.uploadItems, this.#budget);
      if (batch === undefined) return;
      const answer = await this.#send(this.#carrier, batch);
      if (answer === undefined) return;
      if ("ack" in answer) {
        this.#parts.outbox().acked(answer.ack);
        this.#parts.acked(answer.ack, batch.results.length);
        if (answer.ack < batch.to && answer.ack < batch.from) return this.#fail("the server acknowledged less than was sent");
        continue;
      }
      asked = answer.need === askedFor ? asked + 1 : 1;
      askedFor = answer.need;
      if (asked >= STUCK) return this.#fail(`the server keeps asking for number ${answer.need}`);
      this.#parts.outbox().reconcile(answer.need - 1);
    }
  }

  async #send(carrier: Carrier, batch: Batch): Promise<UploadAnswer | undefined> {
    const { outbox, boot, offset } = this.#parts;
    try {
      outbox().sending(batch.to);
      const { depth, dropped, problem = null } = outbox();
      const waiting = depth - batch.results.length - batch.hosts.length;
      const answer = await carrier.upload({
        boot,
        ...batch,
        results: batch.results.map((item) => atTrueTime(item)),
        hosts: batch.hosts.map((item) => atTrueTime(item)),
        outbox: { depth: Math.max(0, waiting), dropped, problem },
        clock: { now: Date.now(), offset_ms: offset() },
      });
      this.#failed = 0;
      return answer;
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #fail(why: string): void {
    this.failures += 1;
    this.#failed += 1;
    this.#parts.log.warn({ why }, "an upload failed; it will be sent again");
  }
}
