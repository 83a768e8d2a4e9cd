// A client as a witness for another one: it is asked, its agent runs, what it saw is said to the client that failed.
import type { WireResult } from "#contract/result";
import type { Job } from "#contract/wire";
import { seenPath, witnessCheck } from "../analysis/witness-reading.ts";
import { clientObject, type Env } from "../env.ts";
import { newId } from "../ids.ts";
import { logError } from "../log.ts";
import type { Stored } from "../store/ring.ts";
import type { RunOrder } from "./orders.ts";
import { ASKED_A_MINUTE, WITNESS_MS, type WitnessOrder, type WitnessReply, type WitnessStatement } from "./witness-wire.ts";

const MINUTE_MS = 60_000;

export interface StandParts {
  readonly env: Env;
  readonly clientId: () => string;
  readonly newest: (series: string) => Stored<WireResult> | undefined;
  /** Hands an order to the agent; false when it has no socket. */
  readonly order: (order: RunOrder) => boolean;
}

/** A run that a witness was asked for. Kept in memory only: whoever asked does not wait longer than a few seconds. */
interface Duty {
  readonly order: WitnessOrder;
  readonly part: "path" | "check";
  readonly job: Job;
  readonly until: number;
}

export class WitnessStand {
  readonly #parts: StandParts;
  readonly #duties = new Map<string, Duty>();
  #asked: number[] = [];

  constructor(parts: StandParts) {
    this.#parts = parts;
  }

  /** Takes an order: what it knows already is answered at once, what its agent sees follows. */
  testify(order: WitnessOrder, now: number): WitnessReply {
    this.#forget(now);
    const same_test = this.#sameTest(order.series);
    if (this.#asked.length >= ASKED_A_MINUTE) return { state: "busy", same_test, path: false, check: false };
    this.#asked.push(now);
    const path = order.path !== null && this.#run(order, "path", order.path, now);
    // A result of the very test, measured since, is better than any quick look.
    const known = (this.#parts.newest(order.series)?.received_at ?? 0) >= order.since;
    const check = !known && order.check !== null && this.#run(order, "check", order.check, now);
    return { state: path || check || known ? "asked" : "away", same_test, path, check };
  }

  #sameTest(series: string) {
    const stored = this.#parts.newest(series);
    return stored === undefined ? null : witnessCheck(this.#parts.clientId(), stored.item, stored.received_at);
  }

  #run(order: WitnessOrder, part: Duty["part"], job: Job, now: number): boolean {
    const run_id = newId();
    if (!this.#parts.order({ run_id, job })) return false;
    this.#duties.set(run_id, { order, part, job, until: now + WITNESS_MS });
    return true;
  }

  #forget(now: number): void {
    this.#asked = this.#asked.filter((time) => time + MINUTE_MS > now);
    for (const [id, { until }] of this.#duties) if (until < now) this.#duties.delete(id);
  }

  /** A result that its agent sent; says what it is about when it was asked for. */
  async answered(result: WireResult, now: number): Promise<void> {
    const duty = result.run_id === null ? undefined : this.#duties.get(result.run_id);
    // An agent answers with what it was asked, or with nothing.
    if (duty === undefined || result.type !== duty.job.type || result.destination !== duty.job.destination) return;
    this.#duties.delete(result.run_id ?? "");
    if (duty.until < now) return;
    const { order, part } = duty;
    const clientId = this.#parts.clientId();
    const same_test = this.#sameTest(order.series);
    const statement: WitnessStatement =
      part === "path"
        ? { path: seenPath(clientId, result, now), same_test }
        : { check: witnessCheck(clientId, result, now), same_test };
    try {
      await clientObject(this.#parts.env, order.victim).testimony(order.event_id, clientId, statement);
    } catch (error) {
      logError("testimony", error); // The event is completed without it.
    }
  }
}
