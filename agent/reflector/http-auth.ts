// Proof of a session key over HTTP, both sides: the server gives a nonce, the client answers with an HMAC. The key itself never travels.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { SessionKey } from "../peer.ts";
import { TimedSet } from "./timed-set.ts";

const SCHEME = "StreamSwarm";
/** A nonce may be answered this long after it was given, milliseconds. */
export const NONCE_LIFE_MS = 30_000;
/** Nonces used up and remembered until they would have expired anyway. */
const USED_NONCES = 4096;

const STAMP_BYTES = 6;
const RANDOM_BYTES = 10;
const SEAL_BYTES = 16;
const NONCE = /^[A-Za-z0-9_-]{43}$/;
const MAC = NONCE;

function macOf(key: Uint8Array, method: string, target: string, nonce: string): Buffer {
  return createHmac("sha256", key).update(`${method} ${target} ${nonce}`).digest();
}

/** The nonce of a `www-authenticate` header; undefined when the server asks for something else. */
export function readChallenge(header: string | undefined): string | undefined {
  const nonce = /^StreamSwarm nonce="([^"]*)"$/.exec(header?.slice(0, 200) ?? "")?.[1];
  return nonce !== undefined && NONCE.test(nonce) ? nonce : undefined;
}

/**
 * The client's `authorization` header for one request. `target` is the path with its query as it stands in the request line.
 * Each nonce serves one request: ask for another (any request without this header answers 401 with one) before the next.
 */
export function authorizationFor(session: SessionKey, method: string, target: string, nonce: string): string {
  const mac = macOf(session.key, method, target, nonce).toString("base64url");
  return `${SCHEME} ssid=${session.ssid}, nonce="${nonce}", mac="${mac}"`;
}

/** Answers the keys that hold for a session identifier just now. */
export type KeysOf = (ssid: number) => readonly Uint8Array[];

/** The server's side: gives nonces and takes each back once. Holds no memory for a client that has not proved its key. */
export class HttpGate {
  readonly #sealKey = randomBytes(32);
  readonly #used: TimedSet<string>;
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#used = new TimedSet(USED_NONCES, NONCE_LIFE_MS, now);
  }

  /** The value of a `www-authenticate` header with a fresh nonce. */
  challenge(): string {
    const head = Buffer.alloc(STAMP_BYTES + RANDOM_BYTES);
    head.writeUIntBE(Math.floor(this.#now()), 0, STAMP_BYTES);
    randomBytes(RANDOM_BYTES).copy(head, STAMP_BYTES);
    return `${SCHEME} nonce="${Buffer.concat([head, this.#seal(head)]).toString("base64url")}"`;
  }

  /** The session identifier a request proves to speak for, or undefined; its nonce is used up then. Never throws. */
  admit(header: string | undefined, method: string, target: string, keysOf: KeysOf): number | undefined {
    const given = readAuthorization(header);
    if (given === undefined || !this.#isOurs(given.nonce) || this.#used.has(given.nonce)) return undefined;
    const proves = keysOf(given.ssid).some((key) => timingSafeEqual(macOf(key, method, target, given.nonce), given.mac));
    // Where no more can be remembered, nobody is let in: an old nonce must not come back.
    if (!proves || !this.#used.add(given.nonce)) return undefined;
    return given.ssid;
  }

  #seal(head: Buffer): Buffer {
    return createHmac("sha256", this.#sealKey).update(head).digest().subarray(0, SEAL_BYTES);
  }

  #isOurs(nonce: string): boolean {
    const bytes = Buffer.from(nonce, "base64url");
    const head = bytes.subarray(0, STAMP_BYTES + RANDOM_BYTES);
    const seal = bytes.subarray(STAMP_BYTES + RANDOM_BYTES);
    if (seal.length !== SEAL_BYTES || !timingSafeEqual(seal, this.#seal(head))) return false;
    const age = this.#now() - head.readUIntBE(0, STAMP_BYTES);
    return age >= 0 && age < NONCE_LIFE_MS;
  }
}

function readAuthorization(header: string | undefined): { ssid: number; nonce: string; mac: Buffer } | undefined {
  const parts = /^StreamSwarm ssid=(\d{1,5}), nonce="([^"]*)", mac="([^"]*)"$/.exec(header?.slice(0, 300) ?? "");
  const [ssid, nonce = "", mac = ""] = [Number(parts?.[1]), parts?.[2], parts?.[3]];
  if (!(ssid >= 1 && ssid <= 65_535) || !NONCE.test(nonce) || !MAC.test(mac)) return undefined;
  const bytes = Buffer.from(mac, "base64url");
  return bytes.length === 32 ? { ssid, nonce, mac: bytes } : undefined;
}
