// Names of hops, asked while the path is measured and never waited for longer than a moment.
import { Resolver } from "node:dns/promises";

/** Each answer is waited for this long, and asked once. */
const TRY_MS = 900;
/** A finished run waits this long for names still on their way. */
const LAST_WAIT_MS = 300;
const KEPT_MS = 3_600_000;
const KEPT_MAX = 2048;
/** A name as the host grammar has it; anything else a resolver may answer is not shown. */
const NAME = /^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/;

const kept = new Map<string, { name: string | null; until: number }>();

function keep(address: string, name: string | null): void {
  kept.set(address, { name, until: performance.now() + KEPT_MS });
  const [oldest] = kept.keys();
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
}

/** The names of one run's hops. */
export class HopNames {
  readonly #resolver = new Resolver({ timeout: TRY_MS, tries: 1 });
  readonly #asked = new Map<string, Promise<void>>();

  /** Begins to look an address up, once. */
  ask(address: string): void {
    if (this.#asked.has(address) || (kept.get(address)?.until ?? 0) > performance.now()) return;
    this.#asked.set(address, this.#look(address));
  }

  async #look(address: string): Promise<void> {
    try {
      const [name] = await this.#resolver.reverse(address);
      keep(address, name !== undefined && NAME.test(name) ? name : null);
    } catch (error) {
      // No name is an answer worth keeping; a resolver that did not answer is asked again next time.
      if (["ENOTFOUND", "ENODATA"].includes((error as NodeJS.ErrnoException).code ?? "")) keep(address, null);
    }
  }

  /** Known by now; null otherwise. */
  of(address: string): string | null {
    return kept.get(address)?.name ?? null;
  }

  /** Waits a moment for what is still on its way, at most `left_ms`, then stops asking. */
  async finish(left_ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, Math.min(LAST_WAIT_MS, left_ms)));
    });
    await Promise.race([Promise.all(this.#asked.values()), over]);
    clearTimeout(timer);
    this.#resolver.cancel();
  }
}
