// Runs that people ordered: what waits for an agent without a socket, and what is still being answered.
import type { Job } from "#contract/wire";

export interface RunOrder {
  run_id: string;
  test_id?: string;
  job?: Job;
}

/** A run not answered within this time is given up. */
const RUN_LASTS_MS = 120_000;
/** Orders kept for an agent that is away; more would be stale when it returns. */
const WAITING_AT_MOST = 100;

const KEY = "orders";

export class Orders {
  readonly #storage: DurableObjectStorage;
  /** By run: how many results it will have, the numbers of those that came, and when it is given up. */
  readonly #running = new Map<string, { results: number; came: Set<number>; until: number }>();
  #waiting: RunOrder[];

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#waiting = storage.kv.get<RunOrder[]>(KEY) ?? [];
  }

  /** `results` is how many answers the run will have. */
  started(order: RunOrder, results: number, now: number): void {
    this.#running.set(order.run_id, { results, came: new Set(), until: now + RUN_LASTS_MS });
  }

  /** Keeps an order that could not be handed over at once. */
  hold(order: RunOrder): void {
    this.#waiting = [...this.#waiting, order].slice(-WAITING_AT_MOST);
    this.#storage.kv.put(KEY, this.#waiting);
  }

  takeWaiting(): RunOrder[] {
    if (this.#waiting.length > 0) this.#storage.kv.delete(KEY);
    return this.#waiting.splice(0);
  }

  /** A result came, live or stored: the same one may come twice. */
  answered({ run_id: runId, seq }: { run_id: string | null; seq: number }): void {
    const run = runId === null ? undefined : this.#running.get(runId);
    if (runId === null || run === undefined) return;
    run.came.add(seq);
    if (run.came.size >= run.results) this.#running.delete(runId);
  }

  /** Whether any run is still being answered. */
  running(now: number): boolean {
    for (const [id, { until }] of this.#running) if (until < now) this.#running.delete(id);
    return this.#running.size > 0;
  }
}
