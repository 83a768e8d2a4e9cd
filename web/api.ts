// Requests to `/api/v1`. Every answer is parsed with its contract schema before a page sees it.
import type { z } from "zod";
import { ApiError, errorFromResponse, messageOf, parseJson } from "./problem.ts";
import { signedOut } from "./session.ts";

const BASE = "/api/v1";

type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

export interface RequestOptions {
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

async function send(method: Method, path: string, options: RequestOptions): Promise<Response> {
  const init: RequestInit = { method, headers: { accept: "application/json" }, credentials: "same-origin" };
  if (options.body !== undefined) {
    init.headers = { accept: "application/json", "content-type": "application/json" };
    init.body = JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "no_answer", `StreamSwarm cannot be reached (${messageOf(error)})`);
  }
  if (response.ok) return response;
  const failure = await errorFromResponse(response);
  // Wrong credentials are 401 too, but they belong to the sign-in form.
  if (response.status === 401 && failure.code !== "bad_credentials") signedOut();
  throw failure;
}

/** Sends a request and parses its answer. */
export async function request<Schema extends z.ZodType>(
  method: Method,
  path: string,
  schema: Schema,
  options: RequestOptions = {},
): Promise<z.output<Schema>> {
  const response = await send(method, path, options);
  const parsed = schema.safeParse(parseJson(await response.text()));
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  const where = first ? `${first.path.join(".")}: ${first.message}` : "";
  throw new ApiError(response.status, "unreadable", `The answer to ${method} ${path} is not what this page expects (${where})`);
}

/** Sends a request whose answer carries nothing the page needs. */
export async function command(method: Method, path: string, options: RequestOptions = {}): Promise<void> {
  await send(method, path, options);
}

export function get<Schema extends z.ZodType>(path: string, schema: Schema, signal?: AbortSignal): Promise<z.output<Schema>> {
  return request("GET", path, schema, signal ? { signal } : {});
}

/** `?a=1&b=2`; arrays repeat, undefined is left out. */
export function queryString(values: Record<string, string | number | readonly string[] | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

export const idPath = (...parts: string[]) => parts.map((part) => `/${encodeURIComponent(part)}`).join("");
