// The two transfers of the throughput server: bytes down, and bytes up with the receiver's counts.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { LineHold } from "./http-line.ts";
import { Incompressible } from "./incompressible.ts";
import { HTTP_LIMITS } from "./limits.ts";

/** How often a download is looked at, milliseconds. */
const LOOK_MS = 1000;
/** What passed in one transfer. */
export interface Passed {
  readonly bytes: number;
  readonly ms: number;
}

const NO_CACHE = { "cache-control": "no-store, no-transform" } as const;

/**
 * Sends `total` bytes as fast as they are taken; cut off when the hold is spent, when it takes too long and when nobody
 * reads. `done` is called once, at its end, with what this host's kernel took.
 */
export function sendDown(response: ServerResponse, total: number, hold: LineHold, done: (passed: Passed) => void): void {
  const start = performance.now();
  let moved = start;
  let given = 0;
  let taken = 0;
  const source = new Incompressible();
  response.writeHead(200, { ...NO_CACHE, "content-type": "application/octet-stream", "content-length": total });
  const pump = () => {
    while (given < total && !response.destroyed) {
      const chunk = source.take(total - given);
      given += chunk.length;
      if (!hold.spend(chunk.length)) {
        response.destroy();
        return;
      }
      const more = response.write(chunk, (error) => {
        if (error != null) return;
        taken += chunk.length;
        source.giveBack(chunk);
        moved = performance.now();
      });
      if (!more) return;
    }
    if (!response.destroyed) response.end();
  };
  const look = setInterval(() => {
    const now = performance.now();
    if (now - moved > HTTP_LIMITS.stall_ms || now - start > HTTP_LIMITS.transfer_ms) response.destroy();
  }, LOOK_MS);
  response.on("drain", pump);
  response.once("close", () => {
    clearInterval(look);
    done({ bytes: taken, ms: performance.now() - start });
  });
  pump();
}

/**
 * Receives a body and tells its sender, in lines of JSON, how many bytes had arrived at which time by this side's monotonic
 * clock; the last line has `done`, and `cut` when not all of the body was taken.
 */
export function receiveUp(
  request: IncomingMessage,
  response: ServerResponse,
  hold: LineHold,
  done: (passed: Passed) => void,
): void {
  const start = performance.now();
  let bytes = 0;
  let moved = start;
  let over = false;
  const row = (more: Record<string, unknown> = {}) =>
    response.write(`${JSON.stringify({ t_ms: Number((performance.now() - start).toFixed(3)), bytes, ...more })}\n`);
  const finish = (cut?: string) => {
    if (over) return;
    over = true;
    clearInterval(counter);
    row({ done: true, ...(cut === undefined ? {} : { cut }) });
    // What is still under way has nobody to take it.
    response.end(() => cut !== undefined && request.destroy());
  };
  const counter = setInterval(() => {
    const now = performance.now();
    if (now - moved > HTTP_LIMITS.stall_ms) finish("the body stopped arriving");
    else if (now - start > HTTP_LIMITS.transfer_ms) finish("the transfer took longer than it may");
    else row();
  }, HTTP_LIMITS.count_ms);
  response.writeHead(200, { ...NO_CACHE, "content-type": "application/x-ndjson" });
  row();
  request.on("data", (chunk: Buffer) => {
    if (over) return;
    bytes += chunk.length;
    moved = performance.now();
    if (!hold.spend(chunk.length)) finish("the byte budget is used up");
  });
  request.once("end", () => finish());
  response.once("close", () => {
    over = true;
    clearInterval(counter);
    done({ bytes, ms: performance.now() - start });
  });
}
