// Passwords are hashed here rather than in the Worker: one scrypt takes about 160 ms of CPU, more than the free plan gives
// a Worker request, and an object has its own allowance. The objects are few and fixed (see `passwords`), so that strangers
// who try names cannot create any. Each also counts failures of its accounts.
import { DurableObject } from "cloudflare:workers";
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import type { Env } from "../env.ts";

/** OWASP's equal of N=2^17, r=8, p=1 that fits 128 MB and the runtime's cap N*r*p <= 2^20: 16 MiB. */
const COST = { N: 2 ** 14, r: 8, p: 5 };
const KEY_BYTES = 32;
const SHARDS = 8;

const WINDOW_MS = 15 * 60_000;
/** Failures of one account from one address in the window before the next try has to wait. */
const FREE_TRIES = 10;

export type Verdict = { ok: boolean; retry_after_s: number };

export class PasswordObject extends DurableObject<Env> {
  readonly #failures = new Map<string, number[]>();

  /** `scrypt$N$r$p$salt$key`, base64. */
  hash(password: string): string {
    const salt = randomBytes(16);
    const key = derive(password, salt, COST);
    return ["scrypt", COST.N, COST.r, COST.p, salt.toString("base64"), key.toString("base64")].join("$");
  }

  /** Checks a password; `stored` null (no such user) costs the same time. `who` is account and address. */
  verify(who: string, password: string, stored: string | null): Verdict {
    const now = Date.now();
    const recent = (this.#failures.get(who) ?? []).filter((at) => now - at < WINDOW_MS);
    const first = recent[0];
    if (recent.length >= FREE_TRIES && first !== undefined) {
      return { ok: false, retry_after_s: Math.ceil((first + WINDOW_MS - now) / 1000) };
    }
    const ok = matches(password, stored ?? UNKNOWN_USER) && stored !== null;
    if (ok) this.#failures.delete(who);
    else this.#remember(who, [...recent, now]);
    return { ok, retry_after_s: 0 };
  }

  #remember(who: string, times: number[]): void {
    this.#failures.delete(who);
    this.#failures.set(who, times);
    const oldest = this.#failures.keys().next().value;
    if (this.#failures.size > 10_000 && oldest !== undefined) this.#failures.delete(oldest);
  }
}

function derive(password: string, salt: Buffer, cost: typeof COST): Buffer {
  return scryptSync(password.normalize("NFKC"), salt, KEY_BYTES, { ...cost, maxmem: 64 * 1024 * 1024 });
}

/** A well-formed hash that no password matches, so that an unknown user takes as long as a known one. */
const UNKNOWN_USER = [
  "scrypt",
  COST.N,
  COST.r,
  COST.p,
  Buffer.alloc(16).toString("base64"),
  Buffer.alloc(KEY_BYTES).toString("base64"),
].join("$");

function matches(password: string, stored: string): boolean {
  const [scheme, N, r, p, salt, key] = stored.split("$");
  if (scheme !== "scrypt" || salt === undefined || key === undefined) return false;
  const wanted = Buffer.from(key, "base64");
  const found = derive(password, Buffer.from(salt, "base64"), { N: Number(N), r: Number(r), p: Number(p) });
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}

/** The object that looks after an account's password. */
export function passwords(env: Env, username: string) {
  const name = username.normalize("NFKC").toLowerCase();
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 1_000_003;
  return env.PASSWORD.getByName(`passwords-${sum % SHARDS}`);
}
