// Keys a reflector answers to: derived from its secrets in force, and remembered once somebody has proved to know one.
import { deriveKey } from "../stamp/key.ts";
import { UDP_LIMITS } from "./limits.ts";

/** A reflector's secret and when it holds, epoch milliseconds: from <= now < until. */
export interface Secret {
  readonly from: number;
  readonly until: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** A derived key, and the secret it comes from. */
export interface HeldKey {
  readonly secret: Secret;
  readonly key: Uint8Array;
}

export class Keyring {
  readonly #secrets: () => readonly Secret[];
  readonly #proved = new Map<string, Uint8Array>();

  /** `secrets` is asked at every use, so that what it answers may change. */
  constructor(secrets: () => readonly Secret[]) {
    this.#secrets = secrets;
  }

  /** Whether a secret holds now, with some grace for clocks that differ. */
  static holds({ from, until }: Secret, now_ms: number): boolean {
    return from - UDP_LIMITS.secretGrace_ms <= now_ms && now_ms < until + UDP_LIMITS.secretGrace_ms;
  }

  /** Secrets in force at a moment, epoch milliseconds. */
  inForce(now_ms: number): readonly Secret[] {
    return this.#secrets()
      .filter((secret) => Keyring.holds(secret, now_ms))
      .slice(0, UDP_LIMITS.secrets);
  }

  /** The key of one sender by each secret in force. */
  keysOf(ssid: number, now_ms: number): HeldKey[] {
    return this.inForce(now_ms).map((secret) => ({
      secret,
      key: this.#proved.get(keyName(secret, ssid)) ?? deriveKey(secret.secret, ssid),
    }));
  }

  /** Remembers a key somebody proved to know; guesses do not get here and cannot push one out. */
  remember({ secret, key }: HeldKey, ssid: number): void {
    const name = keyName(secret, ssid);
    this.#proved.delete(name);
    this.#proved.set(name, key);
    for (const oldest of this.#proved.keys()) {
      if (this.#proved.size <= UDP_LIMITS.keys) break;
      this.#proved.delete(oldest);
    }
  }
}

const keyName = ({ secret }: Secret, ssid: number): string => `${Buffer.from(secret).toString("base64")}/${ssid}`;
