import { z } from "zod";
import { checkUrl } from "../destination.ts";
import { type MetricName, metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, type Traffic } from "./define.ts";
import { ipVersionField, timeoutField } from "./fields.ts";
import { CONNECTION_BYTES, TLS_BYTES, tcpBytes } from "./traffic.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Text expected of a response. */
const EXPECT_LENGTH = 500;
const HEADERS_LENGTH = 1000;
const HEADERS_MAX = 8;
const JSON_DEPTH_MAX = 20;

/** What an https run tells of TLS besides its own phases; not applicable to http. */
export const HTTP_TLS_METRICS = [
  "tls_version",
  "tls_cipher",
  "tls_alpn",
  "tls_authorized",
  "tls_error",
  "cert_days_left",
  "cert_not_after",
  "cert_issuer",
  "cert_subject_cn",
  "cert_sans",
  "cert_fingerprint_sha256",
  "cert_key_bits",
  "cert_key_type",
  "cert_chain_len",
] as const satisfies readonly MetricName[];

export interface HeaderLine {
  /** Lower case. */
  readonly name: string;
  readonly value: string;
}

/** A header as people write it, `Name: value` (RFC 9110 5.1), or undefined. */
export function parseHeaderLine(line: string): HeaderLine | undefined {
  const parts = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):([\x20-\x7e]*)$/.exec(line.trim());
  return parts?.[1] === undefined ? undefined : { name: parts[1].toLowerCase(), value: (parts[2] ?? "").trim() };
}

/** Request headers the agent sets itself, those that would change the framing, and those that carry credentials. */
const RESERVED_HEADERS: readonly string[] = [
  "accept-encoding",
  "authorization",
  "connection",
  "content-length",
  "cookie",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
];

/** Why a request may not carry this header, or undefined. */
function headerObjection(line: string): string | undefined {
  const header = parseHeaderLine(line);
  if (header === undefined) return `'${line.trim().slice(0, 40)}' is not 'Name: value' in plain ASCII`;
  if (header.name === "authorization" || header.name === "cookie" || header.name.startsWith("proxy-")) {
    return `'${header.name}' would show its secret to everyone who sees the test`;
  }
  return RESERVED_HEADERS.includes(header.name) ? `'${header.name}' is set by the agent itself` : undefined;
}

/** The request headers of the `headers` parameter: `Name: value`, several divided by `|`. */
export function requestHeaders(text: string | undefined): HeaderLine[] {
  if (text === undefined) return [];
  return text.split("|").flatMap((line) => parseHeaderLine(line) ?? []);
}

function checkHeaders(text: string): string | undefined {
  const lines = text.split("|");
  if (lines.length > HEADERS_MAX) return `holds ${lines.length} headers; at most ${HEADERS_MAX} are sent`;
  return lines.map(headerObjection).find((objection) => objection !== undefined);
}

/** Whether a status is among those of a list such as `200`, `2xx,301`. */
export function statusFits(status: number, expected: string): boolean {
  return expected.split(",").some((part) => {
    const wanted = part.trim();
    return /x/i.test(wanted) ? String(status)[0] === wanted[0] : String(status) === wanted;
  });
}

export interface JsonExpectation {
  readonly path: readonly (string | number)[];
  /** As written behind the equals sign. */
  readonly value: string;
}

const JSON_STEP = /\.?([\p{L}\p{N}_$-]+)|\[(\d{1,6})\]|\["([^"\\]*)"\]/uy;

/** `a.b[0].c = value`: a path of keys and indexes and the scalar that must stand there, or undefined. */
export function parseJsonExpectation(text: string): JsonExpectation | undefined {
  const path: (string | number)[] = [];
  let at = /^\s*\$?/.exec(text)?.[0].length ?? 0;
  for (;;) {
    JSON_STEP.lastIndex = at;
    const step = JSON_STEP.exec(text);
    if (step === null) break;
    path.push(step[2] === undefined ? (step[1] ?? step[3] ?? "") : Number(step[2]));
    at = JSON_STEP.lastIndex;
  }
  const value = /^\s*==?(.*)$/.exec(text.slice(at))?.[1]?.trim();
  return path.length === 0 || path.length > JSON_DEPTH_MAX || value === undefined || value === "" ? undefined : { path, value };
}

const plainText = z
  .string()
  .min(1)
  .max(EXPECT_LENGTH)
  .refine((text) => !/\p{Cc}/u.test(text), "holds line breaks or control characters");

const httpParams = z.strictObject({
  method: z.enum(["GET", "HEAD"]).default("GET").describe("Request method"),
  http_version: z
    .enum(["auto", "1.1", "2"])
    .default("auto")
    .describe("HTTP version: auto offers 2 and 1.1 in the TLS handshake; 2 on http:// is spoken without asking (h2c)"),
  redirects: z.number().int().min(0).max(20).default(5).describe("Redirects to follow; 0 judges the redirect itself"),
  timeout: timeoutField(10, 120, "Seconds for the whole run"),
  ip_version: ipVersionField,
  compression: z.boolean().default(true).describe("Whether to ask for a compressed body"),
  reuse: z.boolean().default(true).describe("Whether a second request measures the reused connection"),
  max_bytes: z
    .number()
    .int()
    .min(KIB)
    .max(16 * MIB)
    .default(MIB)
    .describe("Bytes of the body to read, received and decoded"),
  headers: z.string().min(1).max(HEADERS_LENGTH).optional().describe("Request headers 'Name: value', several divided by |"),
  expect_status: z
    .string()
    .max(100)
    .regex(/^\s*[1-5](\d\d|[xX]{2})(\s*,\s*[1-5](\d\d|[xX]{2}))*\s*$/, "is no list of statuses such as 200 or 2xx,301")
    .optional()
    .describe("Statuses that are right, such as 200 or 2xx,301; default 2xx and 3xx"),
  expect_header: plainText.optional().describe("Response header that must be there, 'name: part of its value'"),
  expect_body: plainText.optional().describe("Text the body must hold, compared as UTF-8"),
  expect_json: plainText.optional().describe("JSON value the body must hold, such as 'a.b[0].c = 5'"),
  insecure: z.boolean().default(false).describe("Send the request although the certificate is not valid; it is still reported"),
});
export type HttpParams = z.output<typeof httpParams>;

function checkExpectations(params: HttpParams): FieldError[] {
  const errors: FieldError[] = [];
  const headers = params.headers === undefined ? undefined : checkHeaders(params.headers);
  if (headers !== undefined) errors.push({ path: "params.headers", message: headers });
  if (params.expect_header !== undefined && parseHeaderLine(params.expect_header) === undefined) {
    errors.push({ path: "params.expect_header", message: "is not 'name: part of its value'" });
  }
  if (params.expect_json !== undefined && parseJsonExpectation(params.expect_json) === undefined) {
    errors.push({ path: "params.expect_json", message: "is not a path and a value such as 'a.b[0].c = 5'" });
  }
  if (params.method === "HEAD") {
    for (const name of ["expect_body", "expect_json"] as const) {
      if (params[name] !== undefined)
        errors.push({ path: `params.${name}`, message: "has no body to look at: HEAD asks for none" });
    }
  }
  return errors;
}

function checkHttp(destination: string, params: HttpParams): FieldError[] {
  const url = checkUrl(destination);
  const about = url.ok ? familyMismatch(url.version, params.ip_version) : [{ path: "destination", message: url.message }];
  return [...about, ...checkExpectations(params)];
}

/** Heads of a request and its response. */
const HEADS_BYTES = 36 * KIB;
const VISIT_BYTES = CONNECTION_BYTES + TLS_BYTES + HEADS_BYTES;

/** A connection for the destination and each redirect; the body once more on the reused one. */
function traffic({ redirects, reuse, max_bytes }: HttpParams): Traffic {
  const again = reuse ? 1 : 0;
  return {
    packets_per_s: redirects + 1 + again,
    bytes: (redirects + 1) * VISIT_BYTES + again * HEADS_BYTES + (1 + again) * tcpBytes(max_bytes),
  };
}

/** What the response's own length says; undefined where the run has read none. */
function moved({ reuse }: HttpParams, metrics: { http_bytes_wire?: unknown; http_redirects?: unknown }): number | undefined {
  const { http_bytes_wire: body, http_redirects: redirects } = metrics;
  if (typeof body !== "number") return undefined;
  return (typeof redirects === "number" ? redirects + 1 : 1) * VISIT_BYTES + (reuse ? 2 : 1) * tcpBytes(body);
}

export const http = defineTestType({
  type: "http",
  label: "HTTP",
  summary: "A web request in its phases: name, TCP, TLS, first byte, download",
  destination: { hint: "An http or https URL without user name or password.", example: "https://crm.example/login?next=%2F" },
  params: httpParams,
  metrics: [...metricsOf("http"), ...HTTP_TLS_METRICS],
  headline: ["http_total_ms", "http_ttfb_ms", "http_status", "http_tls_ms"],
  default_interval_s: 60,
  check: checkHttp,
  contacts: (destination) => hostContact(checkUrl(destination)),
  traffic,
  moved,
  deadline_ms: (params) => params.timeout * 1000,
});
