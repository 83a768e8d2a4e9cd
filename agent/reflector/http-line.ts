// Who may fill the line: one throughput test at a time, and so many bytes an hour.
import { TokenBucket } from "./bucket.ts";
import { HTTP_LIMITS } from "./limits.ts";

export type LineRefusal = { readonly why: "busy" | "spent"; readonly retry_s: number };

/** One transfer's hold on the line. */
export interface LineHold {
  /** Counts bytes as they pass; false when the holder's hour is used up, or the transfer is as long as it may be. */
  spend(bytes: number): boolean;
  release(): void;
}

/** `now` is monotonic milliseconds throughout. */
export class Line {
  #owner: string | undefined;
  #transfers = 0;
  #freeAt = 0;
  readonly #accounts = new Map<string, TokenBucket>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Who has the line, or undefined. */
  get owner(): string | undefined {
    return this.#transfers > 0 || this.#now() < this.#freeAt ? this.#owner : undefined;
  }

  /** A hold for one transfer of a test, or why there is none and when to ask again. */
  take(owner: string): LineHold | LineRefusal {
    const now = this.#now();
    const holder = this.owner;
    const taken = holder !== undefined && holder !== owner;
    if (taken || this.#transfers >= HTTP_LIMITS.transfers) {
      const wait_ms = this.#transfers > 0 ? HTTP_LIMITS.linger_ms : this.#freeAt - now;
      return { why: "busy", retry_s: Math.max(1, Math.ceil(wait_ms / 1000)) };
    }
    const account = this.#accountOf(owner, now);
    if (account === undefined) return { why: "busy", retry_s: 60 };
    if (account.left(now) < 1) return { why: "spent", retry_s: Math.ceil(account.wait_s(now, 1)) + 1 };
    this.#owner = owner;
    this.#transfers += 1;
    return this.#hold(account);
  }

  #hold(account: TokenBucket): LineHold {
    let held = true;
    let passed = 0;
    return {
      spend: (bytes) => {
        passed += bytes;
        account.charge(this.#now(), bytes);
        return account.left(this.#now()) > 0 && passed <= HTTP_LIMITS.transferBytes;
      },
      release: () => {
        if (!held) return;
        held = false;
        this.#transfers -= 1;
        this.#freeAt = this.#now() + HTTP_LIMITS.linger_ms;
      },
    };
  }

  #accountOf(owner: string, now: number): TokenBucket | undefined {
    const known = this.#accounts.get(owner);
    if (known !== undefined) return known;
    if (this.#accounts.size >= HTTP_LIMITS.accounts) {
      for (const [name, account] of this.#accounts) if (account.isFull(now)) this.#accounts.delete(name);
      if (this.#accounts.size >= HTTP_LIMITS.accounts) return undefined;
    }
    const account = new TokenBucket(HTTP_LIMITS.hourBytes / 3600, HTTP_LIMITS.hourBytes, now);
    this.#accounts.set(owner, account);
    return account;
  }
}
