// One layer that every web request passes: where it comes from, what it carries, how large it is.
import { createMiddleware } from "hono/factory";
import { LIMITS } from "#contract/limits";
import { parseJson } from "../json.ts";
import { ProblemError } from "../problem-error.ts";
import { bypassed } from "./authenticate.ts";
import type { App } from "./context.ts";

const READS = ["GET", "HEAD", "OPTIONS"];

/** Writes and live sockets are refused when another site's page sent them (CSRF, socket hijacking). */
export const sameOrigin = createMiddleware<App>(async (context, next) => {
  const upgrade = context.req.header("upgrade") !== undefined;
  if (!READS.includes(context.req.method) || upgrade) {
    const origin = context.req.header("origin");
    const own = new URL(context.req.url);
    const foreign =
      origin === undefined ? isCrossSite(context.req.header("sec-fetch-site")) : !isOwn(origin, own, context.req.header("host"));
    if (foreign && !bypassed(context))
      throw new ProblemError("bad_origin", "This request came from a page of another site and was refused.");
  }
  await next();
});

const isCrossSite = (site: string | undefined) => site !== undefined && site !== "same-origin" && site !== "none";

function isOwn(origin: string, own: URL, host: string | undefined): boolean {
  if (origin === own.origin) return true;
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host;
}

/** Bodies are JSON and not larger than the limit, counted while they arrive. */
export const jsonBody = createMiddleware<App>(async (context, next) => {
  const { raw } = context.req;
  if (!READS.includes(context.req.method) && raw.body !== null) {
    const declared = Number(context.req.header("content-length") ?? 0);
    if (declared > LIMITS.webBodyBytes) throw tooLarge();
    const body = await readCapped(raw.body, LIMITS.webBodyBytes);
    if (body.byteLength > 0 && !/^application\/(?:[\w.+-]+\+)?json\b/i.test(context.req.header("content-type") ?? "")) {
      throw new ProblemError("unsupported_media_type", "Send JSON with content-type: application/json.");
    }
    if (body.byteLength > 0 && parseJson(new TextDecoder().decode(body)) === undefined) {
      throw new ProblemError("malformed", "The body is not JSON.");
    }
    // The body was consumed to be counted: hand the bytes on as a fresh request.
    context.req.raw = new Request(raw, { body: body.byteLength === 0 ? null : body });
  }
  await next();
});

const tooLarge = (limit: number = LIMITS.webBodyBytes) =>
  new ProblemError("too_large", `The body is larger than ${Math.round(limit / 1024)} KiB. Send less at once.`);

/** How much of a body that is too large is still read, and thrown away, so that its sender hears the answer. */
const DRAINED_BYTES = 16 * 1024 * 1024;

/** Reads a stream up to `limit` bytes; more is a 413. Memory never holds more than the limit. */
export async function readCapped(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  drained = DRAINED_BYTES,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size <= limit) chunks.push(chunk);
    else if (size > limit + drained) break;
  }
  if (size > limit) throw tooLarge(limit);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
