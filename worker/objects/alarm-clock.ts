// An object has one alarm; presence and witnesses both need it. Presence sets it as if it were its own, and the one time that
// witnesses wait for stands beside it, in storage only while they wait.

const KEY = "alarm";

/** Times at which each wants to be woken, epoch milliseconds. */
interface Beside {
  witness: number;
  presence: number | null;
}

export class AlarmClock {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  get #beside(): Beside | undefined {
    return this.#storage.kv.get<Beside>(KEY);
  }

  /** When presence wants to be woken. */
  async getAlarm(): Promise<number | null> {
    const beside = this.#beside;
    return beside === undefined ? this.#storage.getAlarm() : beside.presence;
  }

  /** Wakes presence then. */
  async setAlarm(due: number): Promise<void> {
    const beside = this.#beside;
    if (beside === undefined) return this.#storage.setAlarm(due);
    await this.#keep({ ...beside, presence: due });
  }

  async deleteAlarm(): Promise<void> {
    this.#storage.kv.delete(KEY);
    await this.#storage.deleteAlarm();
  }

  /** Wakes witnesses then; null when they wait for nothing. */
  async wakeWitness(due: number | null): Promise<void> {
    const beside = this.#beside;
    if (beside !== undefined && due !== null) return this.#keep({ ...beside, witness: due });
    if (beside !== undefined) return this.#leave(beside);
    if (due === null) return;
    // Written first: what presence sets while its old time is asked for stands in the record then.
    this.#storage.kv.put(KEY, { witness: due, presence: null });
    const old = await this.#storage.getAlarm();
    const now = this.#beside;
    if (now !== undefined) await this.#keep({ ...now, presence: now.presence ?? old });
  }

  /** Whose alarm came: the earlier of the two. The other one is set again. */
  async fired(): Promise<"presence" | "witness"> {
    const beside = this.#beside;
    if (beside === undefined) return "presence";
    if (beside.presence === null || beside.witness <= beside.presence) {
      await this.#leave(beside);
      return "witness";
    }
    await this.#keep({ ...beside, presence: null });
    return "presence";
  }

  async #keep(beside: Beside): Promise<void> {
    this.#storage.kv.put(KEY, beside);
    await this.#storage.setAlarm(Math.min(beside.witness, beside.presence ?? Number.POSITIVE_INFINITY));
  }

  async #leave({ presence }: Beside): Promise<void> {
    this.#storage.kv.delete(KEY);
    if (presence === null) await this.#storage.deleteAlarm();
    else await this.#storage.setAlarm(presence);
  }
}
