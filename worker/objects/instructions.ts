// What a client must run: read from D1, kept in the object so that a client goes on measuring while D1 is away.
import { CADENCE, LIMITS } from "#contract/limits";
import { isSeriesOf } from "#contract/series-id";
import type { InstructedTest, Instruction } from "#contract/wire";
import type { Env } from "../env.ts";
import { logError } from "../log.ts";
import { findClient } from "../store/clients.ts";
import { readSettings } from "../store/config.ts";
import { database } from "../store/database.ts";
import { instructionFor } from "../store/instruction.ts";

const KEY = "instruction";
const DAY_MS = 86_400_000;

export class Instructions {
  readonly #storage: DurableObjectStorage;
  readonly #env: Env;
  #known: Instruction | undefined;
  #retentionMs: number = LIMITS.rawRetentionDays * DAY_MS;

  constructor(storage: DurableObjectStorage, env: Env) {
    this.#storage = storage;
    this.#env = env;
    this.#known = storage.kv.get<Instruction>(KEY);
  }

  /** Tests of the current instruction; none before one is known. */
  get tests(): readonly InstructedTest[] {
    return this.#known?.tests ?? [];
  }

  /** Tests of the current instruction; undefined before one is known. */
  get testIds(): Set<string> | undefined {
    return this.#known === undefined ? undefined : new Set(this.#known.tests.map((one) => one.test_id));
  }

  /** Series that a run of the test measures: one, or one for each client that the test names. */
  seriesOf(testId: string | undefined): number {
    const ids = [...(this.testIds ?? [])];
    return Math.max(1, testId === undefined ? 1 : ids.filter((id) => isSeriesOf(id, testId)).length);
  }

  get retentionMs(): number {
    return this.#retentionMs;
  }

  /** The newest instruction, or the last known one when D1 does not answer. Written only when it changed. */
  async load(clientId: string): Promise<Instruction> {
    try {
      const db = database(this.#env.DB);
      const row = await findClient(db, clientId);
      if (row !== undefined) {
        const settings = await readSettings(db);
        this.#retentionMs = settings.raw_retention_days * DAY_MS;
        this.#keep(await instructionFor(db, row, settings));
      }
    } catch (error) {
      logError("instruction", error);
    }
    return this.#known ?? { revision: 0, tests: [], upload_s: CADENCE.uploadS };
  }

  #keep(instruction: Instruction): void {
    // A slower read of an older revision must not undo a newer one.
    if (this.#known !== undefined && this.#known.revision > instruction.revision) return;
    if (JSON.stringify(instruction) === JSON.stringify(this.#known)) return;
    this.#known = instruction;
    this.#storage.kv.put(KEY, instruction);
  }
}
