// What a response was expected to be, and what it was. Pure; no part of a body ever gets into a finding.
import { type HttpParams, parseHeaderLine, parseJsonExpectation, statusFits } from "#contract/test-types/http";
import { printable } from "../printable.ts";
import type { ResponseHeaders } from "./exchange.ts";
import { quoted } from "./target.ts";

export interface Finding {
  readonly what: "status" | "header" | "body" | "json";
  readonly expected: string;
  readonly ok: boolean;
  /** What was found instead; null when it fits. */
  readonly found: string | null;
}

export interface Answered {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Decoded body; null when it could not be decoded. */
  readonly body: Buffer | null;
  /** The body is only the beginning of the whole one. */
  readonly truncated: boolean;
}

/** A status that is right where nothing was said: success, or a redirect that is not to be followed. */
const DEFAULT_STATUS = "2xx,3xx";

export const statusExpected = (params: HttpParams): string => params.expect_status ?? DEFAULT_STATUS;

/** Every expectation of the parameters, in order; empty where there is none. */
export function findings(params: HttpParams, answer: Answered): Finding[] {
  const all: Finding[] = [];
  const add = (what: Finding["what"], expected: string | undefined, judge: (expected: string) => string | null) => {
    if (expected === undefined) return;
    const found = judge(expected);
    all.push({ what, expected: expected.slice(0, 500), ok: found === null, found });
  };
  add("status", params.expect_status, (expected) => (statusFits(answer.status, expected) ? null : String(answer.status)));
  add("header", params.expect_header, (expected) => headerMisses(answer.headers, expected));
  add("body", params.expect_body, (expected) => bodyMisses(answer, expected));
  add("json", params.expect_json, (expected) => jsonMisses(answer, expected));
  return all;
}

function headerMisses(headers: ResponseHeaders, expected: string): string | null {
  const wanted = parseHeaderLine(expected);
  const values = wanted === undefined ? undefined : headers.get(wanted.name);
  if (wanted === undefined || values === undefined) return "no such header";
  if (values.some((value) => value.includes(wanted.value))) return null;
  if (wanted.name === "location") return values.map(quoted).join(", ");
  // A cookie's value is a secret even here.
  return wanted.name === "set-cookie" ? "another value" : `'${printable(values.join(", "))}'`;
}

const unreadable = "a body whose coding is not known here";
const within = ({ truncated }: Answered): string => (truncated ? " in the part of the body that was read" : "");

function bodyMisses(answer: Answered, expected: string): string | null {
  if (answer.body === null) return unreadable;
  return answer.body.includes(expected, 0, "utf8") ? null : `no such text${within(answer)}`;
}

function jsonMisses(answer: Answered, expected: string): string | null {
  const wanted = parseJsonExpectation(expected);
  if (wanted === undefined) return "no readable expectation";
  if (answer.body === null) return unreadable;
  const root = parseJson(answer.body);
  if (root === undefined) return `no JSON${within(answer)}`;
  const value = wanted.path.reduce<unknown>(step, root.value);
  if (value === undefined) return "nothing at that path";
  return sameScalar(value, wanted.value) ? null : `another value (${kindOf(value)})`;
}

function parseJson(body: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder().decode(body)) as unknown };
  } catch {
    // Not JSON, or nested deeper than anything means to be: both are the finding.
    return undefined;
  }
}

function step(value: unknown, key: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) return typeof key === "number" ? (value as unknown[])[key] : undefined;
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}

/** Text equals itself with or without quotes; anything else equals its JSON notation. */
function sameScalar(value: unknown, written: string): boolean {
  if (typeof value === "string" && value === written) return true;
  if (typeof value === "object" && value !== null) return false;
  try {
    return JSON.parse(written) === value;
  } catch {
    // What is written is plain text, which was compared above.
    return false;
  }
}

const kindOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
