// The consent file in force while the agent runs: follows the file, keeps the old rules while a newer state of it is wrong.
import { join } from "node:path";
import { CONSENT_RULES_TOLD, type Consent, type ConsentReport } from "#contract/consent";
import { hostOf, Pace, vetoOf } from "./consent.ts";
import { DayBytes } from "./consent-day.ts";
import { type ConsentFile, readConsentFile, stampOf } from "./consent-file.ts";
import { SharedRate } from "./consent-rate.ts";
import { UsageError } from "./exit.ts";
import type { Log } from "./log.ts";
import type { Permit } from "./permit.ts";
import type { RunOrder, Veto } from "./runner.ts";

const DAY_FILE = "consent-day.json";
/** The file is looked at this often at most, ms. */
const LOOK_MS = 60_000;
const PROBLEM_LENGTH = 1000;

export interface KeeperParts {
  readonly path: string;
  readonly file: ConsentFile;
  /** Directory that keeps the day's bytes. */
  readonly state: string;
  /** Address of this agent's server. */
  readonly server: string;
  readonly log: Pick<Log, "info" | "warn">;
  /**
   * Epoch ms, for the UTC day; default this host's own clock. Never one that a server corrects: it could begin a new day, with all
   * its bytes, whenever it likes.
   */
  readonly now?: () => number;
}

export class ConsentKeeper {
  readonly #parts: KeeperParts;
  readonly #pace = new Pace();
  readonly #rate = new SharedRate();
  #consent: Consent;
  #judge: Veto;
  #day: DayBytes | undefined;
  #problem: string | undefined;
  #stamp: string;
  #lookedAt = performance.now();
  /** Called when other rules came into force, or the file became wrong or right again. */
  changed: () => void = () => {};

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#consent = parts.file.consent;
    this.#stamp = parts.file.stamp;
    this.#judge = this.#judgeBy(parts.file.consent);
    for (const warning of parts.file.warnings) parts.log.warn(warning);
  }

  /** Judges an order by the rules in force. */
  readonly veto = (order: RunOrder): string | Permit | undefined => this.#judge(order);

  /** Between two runs of a test at least, seconds. */
  get leastGapS(): number {
    return this.#consent.min_interval_s ?? 0;
  }

  /** Whether other agents may measure against this host's reflector. */
  get reflector(): boolean {
    return this.#consent.reflector ?? true;
  }

  /** Whether the agent may look whether gateway, resolvers and server answer. */
  get selfTest(): boolean {
    return this.#consent.self_test ?? true;
  }

  /** What the server is told: a short form of long lists, and what is wrong with a file that is not in force. */
  get report(): ConsentReport {
    const { destinations, forbidden_destinations, ...rest } = this.#consent;
    const lists = { destinations, forbidden_destinations };
    const told = Object.entries(lists).flatMap(([name, rules]) =>
      rules === undefined ? [] : [[name, rules.slice(0, CONSENT_RULES_TOLD)] as const],
    );
    const untold = Object.values(lists).reduce((sum, rules = []) => sum + Math.max(0, rules.length - CONSENT_RULES_TOLD), 0);
    return {
      ...rest,
      ...Object.fromEntries(told),
      ...(untold === 0 ? {} : { rules_untold: untold }),
      ...(this.#problem === undefined ? {} : { problem: this.#problem.slice(0, PROBLEM_LENGTH) }),
    };
  }

  /** Looks whether the file changed, at most once a minute; costs one stat(2). Never rejects. */
  async look(): Promise<void> {
    if (performance.now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = performance.now();
    await this.reload();
  }

  /** Takes a changed file's rules where they are right; the old ones stay where they are not. Never rejects. */
  async reload(): Promise<void> {
    const { path, log } = this.#parts;
    const stamp = stampOf(path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const { consent, warnings } = await readConsentFile(path);
      this.#judge = this.#judgeBy(consent);
      this.#consent = consent;
      this.#problem = undefined;
      log.info({ path }, "the consent file changed; its new rules are in force");
      for (const warning of warnings) log.warn(warning);
    } catch (error) {
      this.#problem = error instanceof UsageError ? error.message : `--consent ${path}: ${String(error)}`;
      log.warn({ problem: this.#problem }, "the consent file changed and is wrong; the rules before it stay in force");
    }
    this.changed();
  }

  /** Writes what a restart has to know. */
  close(): void {
    this.#day?.close();
  }

  #judgeBy(consent: Consent): Veto {
    const { state, server, log, now = Date.now } = this.#parts;
    // Without a limit nothing is counted, and nothing written.
    if (consent.max_bytes_per_day !== undefined)
      this.#day ??= new DayBytes(join(state, DAY_FILE), now, (message) => log.warn(message));
    return vetoOf(consent, { pace: this.#pace, rate: this.#rate, day: this.#day, server: hostOf(server) });
  }
}
