// A client and its events: what it hears of its own failures, and what it says of others'. Wires the parts together.
import type { NetworkEvent } from "#contract/events";
import type { WireResult } from "#contract/result";
import type { InstructedTest } from "#contract/wire";
import type { Env } from "../env.ts";
import { logError } from "../log.ts";
import type { Ring, Stored } from "../store/ring.ts";
import type { AlarmClock } from "./alarm-clock.ts";
import type { RunOrder } from "./orders.ts";
import type { Identity } from "./view.ts";
import { WitnessDesk } from "./witness-desk.ts";
import { GoodPaths } from "./witness-paths.ts";
import { WitnessStand } from "./witness-stand.ts";
import type { WitnessOrder, WitnessReply, WitnessStatement } from "./witness-wire.ts";

/** A result older than this when it comes is history: it opens no event, milliseconds. */
const FRESH_MS = 120_000;
const OWN = "edge_host";

export interface WitnessParts {
  readonly context: DurableObjectState;
  readonly env: Env;
  readonly clock: AlarmClock;
  readonly ring: Ring;
  readonly identity: () => Identity | undefined;
  readonly tests: () => readonly InstructedTest[];
  /** The newest result of a series. */
  readonly newest: (series: string) => Stored<WireResult> | undefined;
  /** Hands an order to the agent; false when it has no socket. */
  readonly order: (order: RunOrder) => boolean;
  /** Tells live pages. */
  readonly tell: (event: NetworkEvent) => void;
}

export class Witness {
  readonly #parts: WitnessParts;
  readonly #paths: GoodPaths;
  readonly #stand: WitnessStand;
  readonly #desk: WitnessDesk;
  #own: string | undefined;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
    const { context, env, clock, ring, order, tests, newest, identity, tell } = parts;
    const clientId = () => identity()?.id ?? "";
    this.#own = context.storage.kv.get<string>(OWN);
    this.#paths = new GoodPaths({ storage: context.storage, ring, clientId, tests, order });
    this.#stand = new WitnessStand({ env, clientId, newest, order });
    const test = (series: string) => tests().find(({ test_id }) => test_id === series);
    this.#desk = new WitnessDesk({
      context,
      env,
      clock,
      paths: this.#paths,
      identity,
      test,
      own: () => this.#own,
      order,
      tell,
    });
  }

  /** Where the agent reached this edge, which is no target to look at. */
  reachedAt(host: string | null): void {
    if (host === null || host === this.#own) return;
    this.#own = host;
    this.#parts.context.storage.kv.put(OWN, host);
  }

  /** Results that were just stored or streamed. `agentNow` is the agent's clock, epoch milliseconds, null where all are fresh. */
  took(results: readonly WireResult[], now: number, agentNow: number | null): void {
    for (const result of results) {
      this.#paths.took(result, now, this.#desk.answered(result, now));
      if (result.run_id !== null) {
        this.#parts.context.waitUntil(this.#stand.answered(result, now).catch((error) => logError("testimony", error)));
      }
    }
    for (const series of new Set(results.flatMap(({ test_id }) => (test_id === null ? [] : [test_id])))) {
      const newest = this.#parts.newest(series);
      if (newest === undefined || !results.some(({ seq }) => seq === newest.item.seq)) continue;
      // A result of a corrected clock has its time from this side.
      const clock = newest.item.flags.includes("clock_corrected") ? now : agentNow;
      const age = agentNow === null || clock === null ? 0 : clock - (newest.item.started_at + newest.item.duration_ms);
      this.#desk.judged(series, newest, age <= FRESH_MS, now);
    }
  }

  /** The client's tests changed, or it was retired. */
  settle(retired = false): void {
    this.#desk.settle(retired, Date.now());
  }

  testify(order: WitnessOrder): WitnessReply {
    return this.#stand.testify(order, Date.now());
  }

  testimony(eventId: string, from: string, statement: WitnessStatement): void {
    this.#desk.testimony(eventId, from, statement);
  }

  check(): Promise<void> {
    return this.#desk.check(Date.now());
  }

  erase(): Promise<void> {
    return this.#desk.erase(this.#parts.identity()?.id ?? "");
  }
}
