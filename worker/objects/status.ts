// Whether a client is there, and since when. The record is written when it changes, never on a heartbeat.
import type { StatusRecord } from "./view.ts";

const KEY = "status";

export class StatusKeeper {
  readonly #storage: DurableObjectStorage;
  #record: StatusRecord;

  constructor(storage: DurableObjectStorage, now: number) {
    this.#storage = storage;
    this.#record = storage.kv.get<StatusRecord>(KEY) ?? {
      status: "never_seen",
      reason: "registered",
      since: now,
      last_seen_at: null,
      transport: null,
    };
  }

  /** Makes the record durable, so that its times do not move with every waking. */
  keep(): void {
    if (this.#storage.kv.get(KEY) === undefined) this.#storage.kv.put(KEY, this.#record);
  }

  get record(): Readonly<StatusRecord> {
    return this.#record;
  }

  /** Notes in memory that the client was heard; it becomes durable with the next change. */
  heard(now: number): void {
    this.#record = { ...this.#record, last_seen_at: Math.max(now, this.#record.last_seen_at ?? 0) };
  }

  /** Changes the status; false when it already was so. */
  change(status: StatusRecord["status"], reason: string, transport: StatusRecord["transport"], now: number): boolean {
    const record = this.#record;
    if (record.status === status && record.transport === transport) return false;
    const since = record.status === status ? record.since : now;
    this.#record = { ...record, status, reason, since, transport };
    this.#storage.kv.put(KEY, this.#record);
    return true;
  }
}
