// Bytes for bandwidth tests: GET __down?bytes=N streams them, POST __up counts them. One random block is all that is ever held.
import { Hono } from "hono";
import type { Env } from "../env.ts";
import { ProblemError } from "../problem-error.ts";
import { type AgentApp, type AgentContext, caller, callingClient } from "./agent-request.ts";

/** Most bytes of one request, either way: what Cloudflare lets into a Worker at once on its smaller plans. */
export const TRANSFER_BYTES = 100_000_000;
/** The rate limit counts requests; a transfer costs one for each so many bytes. */
const UNIT_BYTES = 10_000_000;
/** getRandomValues gives no more at once. */
const BLOCK_BYTES = 65_536;
/** An upload's count is told this often, milliseconds. */
const COUNT_MS = 250;
/** A token that was found valid is not looked up again for so long, milliseconds. */
const KNOWN_MS = 60_000;
const KNOWN_MOST = 1000;

const NO_CACHE = { "cache-control": "no-store, no-transform" };

export const speed = new Hono<AgentApp>();

const known = new Map<string, number>();

/** Refuses whoever is no client of this server, or moves more than a client's bandwidth tests ever do. */
async function admit(context: AgentContext, bytes: number): Promise<void> {
  const { client_id, epoch } = await caller(context);
  const name = `${client_id}.${epoch}`;
  const now = Date.now();
  if (now - (known.get(name) ?? 0) > KNOWN_MS) {
    await callingClient(context);
    if (known.size >= KNOWN_MOST) known.clear();
    known.set(name, now);
  }
  const units = Math.max(1, Math.ceil(bytes / UNIT_BYTES));
  const limit = (context.env as Env).SPEED;
  for (let unit = 0; unit < units; unit++) {
    const { success } = await limit.limit({ key: client_id });
    if (success) continue;
    const detail = "This client has moved more bytes in this minute than its bandwidth tests may. Wait a minute.";
    throw new ProblemError("throttled", detail, [], { "retry-after": "60" });
  }
}

let block: Uint8Array | undefined;

/** So many bytes that no link can compress, made as they are taken. */
function randomBytes(total: number): ReadableStream<Uint8Array> {
  block ??= crypto.getRandomValues(new Uint8Array(BLOCK_BYTES));
  const source = block;
  let left = total;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = left < BLOCK_BYTES ? source.subarray(0, left) : source;
        left -= piece.byteLength;
        if (piece.byteLength > 0) controller.enqueue(piece);
        if (left === 0) controller.close();
      },
    },
    { highWaterMark: 1 },
  );
}

speed.get("/__down", async (context) => {
  const wanted = context.req.query("bytes") ?? "";
  if (!/^\d{1,12}$/.test(wanted)) throw new ProblemError("bad_query", "Say how many bytes: __down?bytes=1000000.");
  // More than one request may carry is cut: the length that is answered says so, and the client asks again.
  const bytes = Math.min(TRANSFER_BYTES, Number(wanted));
  await admit(context, bytes);
  const body = randomBytes(bytes).pipeThrough(new FixedLengthStream(bytes));
  return new Response(body, {
    headers: { ...NO_CACHE, "content-type": "application/octet-stream", "content-length": String(bytes) },
  });
});

/** Counts a body as it comes and tells its sender in lines of JSON, the last of which has `done`, and `cut` when it was too long. */
async function count(body: ReadableStream<Uint8Array> | null, writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const start = performance.now();
  let bytes = 0;
  let told = start;
  const line = (more: Record<string, unknown> = {}) =>
    encoder.encode(`${JSON.stringify({ t_ms: Math.round(performance.now() - start), bytes, ...more })}\n`);
  const tell = (more?: Record<string, unknown>) => writer.write(line(more));
  let telling = tell();
  try {
    for await (const piece of body ?? []) {
      bytes += piece.byteLength;
      if (bytes > TRANSFER_BYTES) break;
      if (performance.now() - told < COUNT_MS) continue;
      told = performance.now();
      // A sender that does not read its counts gets no more of them meanwhile.
      if ((writer.desiredSize ?? 0) > 0) telling = tell();
    }
    await telling;
    await tell({ done: true, ...(bytes > TRANSFER_BYTES ? { cut: "a request carries 100 MB at most" } : {}) });
    await writer.close();
  } catch (error) {
    // The sender hung up, which is how most uploads of a test end.
    await writer.abort(error).catch(() => undefined);
  }
}

speed.post("/__up", async (context) => {
  const declared = Number(context.req.header("content-length") ?? TRANSFER_BYTES);
  if (declared > TRANSFER_BYTES) throw new ProblemError("too_large", "A request carries 100 MB at most. Send several.");
  await admit(context, declared);
  const { readable, writable } = new IdentityTransformStream();
  context.executionCtx.waitUntil(count(context.req.raw.body, writable));
  return new Response(readable, { headers: { ...NO_CACHE, "content-type": "application/x-ndjson" } });
});
