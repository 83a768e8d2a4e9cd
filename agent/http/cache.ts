// What caches on the way say of a response. Pure.

import { printable } from "../printable.ts";
import { headerOf, type ResponseHeaders } from "./exchange.ts";

export interface CacheReading {
  /** hit, miss, or the cache's own word (stale, expired, bypass, revalidated, dynamic, …). */
  readonly status: string;
  readonly header: "cache-status" | "cf-cache-status" | "x-cache" | "age";
  /** The header as sent. */
  readonly said: string;
}

const WORD = /^[a-z][a-z0-9_-]{0,39}$/;

/** The word for a member of Cache-Status (RFC 9211 2): `hit`, or why the request was forwarded. */
function memberStatus(member: string): string | undefined {
  const parameters = member.split(";").slice(1);
  const names = parameters.map((parameter) => parameter.trim().toLowerCase());
  if (names.some((name) => name === "hit" || name === "hit=?1")) return "hit";
  const reason = names.find((name) => name.startsWith("fwd="))?.slice(4);
  if (reason === undefined || !WORD.test(reason)) return undefined;
  return ["miss", "uri-miss", "vary-miss"].includes(reason) ? "miss" : reason;
}

/** Splits a list at commas outside of quoted strings (RFC 9651 4.2.1). */
const members = (list: string): string[] => list.match(/(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];

/** X-Cache has no standard: `HIT`, `Miss from cloudfront`, `MISS, HIT`; the last word is of the cache nearest to us. */
function xCacheStatus(value: string): string | undefined {
  return value
    .toLowerCase()
    .match(/\b(hit|miss|stale|expired|bypass|refresh\w*|error)\b/g)
    ?.at(-1);
}

/** The status of the cache nearest to us, or undefined where no header speaks of one. */
export function cacheReading(headers: ResponseHeaders): CacheReading | undefined {
  const standard = headers.get("cache-status")?.join(", ").slice(0, 4096);
  const nearest = standard === undefined ? undefined : memberStatus(members(standard).at(-1) ?? "");
  if (standard !== undefined && nearest !== undefined) {
    return { status: nearest, header: "cache-status", said: printable(standard) };
  }
  const cloudflare = headerOf(headers, "cf-cache-status")?.trim().toLowerCase();
  if (cloudflare !== undefined && WORD.test(cloudflare)) {
    return { status: cloudflare, header: "cf-cache-status", said: cloudflare };
  }
  const legacy = headers.get("x-cache")?.join(", ").slice(0, 1000);
  const word = legacy === undefined ? undefined : xCacheStatus(legacy);
  if (legacy !== undefined && word !== undefined) return { status: word, header: "x-cache", said: printable(legacy) };
  // RFC 9111 5.1: only a response from a cache has an Age.
  const age = headerOf(headers, "age");
  return age !== undefined && /^\d{1,10}$/.test(age) ? { status: "hit", header: "age", said: age } : undefined;
}
