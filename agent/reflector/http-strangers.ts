// How often those may come who prove nothing: a connection, a wrong request or one for a nonce costs this host time.
import { isIPv6 } from "node:net";
import { ipv6Groups } from "#contract/destination";
import { TokenBucket } from "./bucket.ts";
import { HTTP_LIMITS } from "./limits.ts";

/** What one stranger surely holds: an IPv4 address, or the first 64 bits of an IPv6 one. `address` is as the socket has it. */
export function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/, "").replace(/%.*$/, "");
  if (!isIPv6(bare)) return bare;
  const groups = ipv6Groups(bare).slice(0, 4);
  return groups.map((group) => group.toString(16)).join(":");
}

/** The rates of strangers by their network. Bounded: networks beyond those remembered share one rate. */
export class Strangers {
  readonly #rates = new Map<string, TokenBucket>();
  readonly #others: TokenBucket;
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#others = rate(now());
  }

  /** Whether one more connection or request of a network is within its rate; it counts then. */
  admit(network: string): boolean {
    const now = this.#now();
    return this.#rateOf(network, now).take(now);
  }

  #rateOf(network: string, now: number): TokenBucket {
    const known = this.#rates.get(network);
    if (known !== undefined) return known;
    if (this.#rates.size >= HTTP_LIMITS.networks) {
      // Looked through only once for each so many newcomers.
      if (!this.#others.isFull(now)) return this.#others;
      for (const [name, each] of this.#rates) if (each.isFull(now)) this.#rates.delete(name);
      if (this.#rates.size >= HTTP_LIMITS.networks) return this.#others;
    }
    const fresh = rate(now);
    this.#rates.set(network, fresh);
    return fresh;
  }
}

const rate = (now: number): TokenBucket => new TokenBucket(HTTP_LIMITS.strangerRate, HTTP_LIMITS.strangerBurst, now);
