// Random identifiers and secrets.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** 16 characters of Crockford base 32: 80 random bits. Never holds a dot, so that `<client>.<seq>` can be split. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => ALPHABET[byte & 31]).join("");
}

/** Digits of base 32 that hold a time in epoch milliseconds until the year 37,000. */
const TIME_DIGITS = 10;

/** The first id of that time, epoch milliseconds: every id of `newTimedId` at or after it sorts behind. */
export function timePrefix(now: number): string {
  let rest = Math.max(0, Math.min(now, 32 ** TIME_DIGITS - 1));
  let digits = "";
  for (let at = 0; at < TIME_DIGITS; at++, rest = Math.floor(rest / 32)) digits = (ALPHABET[rest % 32] ?? "0") + digits;
  return digits;
}

/** An id that sorts by time: ten characters of the time, sixteen random ones. */
export const newTimedId = (now: number): string => timePrefix(now) + newId();

/** 256 random bits in base64url, with a prefix that tells people and secret scanners what it is. */
export function newSecret(prefix: string): string {
  return `${prefix}_${base64url(crypto.getRandomValues(new Uint8Array(32)))}`;
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/** SHA-256 as hexadecimal: how a random secret is stored. */
export async function sha256(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Compares two secrets in time that does not depend on where they differ. */
export async function sameSecret(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [left, right] = await Promise.all([
    crypto.subtle.digest("SHA-256", encoder.encode(a)),
    crypto.subtle.digest("SHA-256", encoder.encode(b)),
  ]);
  return crypto.subtle.timingSafeEqual(left, right);
}
