// Sends bytes on one connection and watches the kernel deliver them.
import { randomFillSync } from "node:crypto";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { TcpInfo } from "../parsers/ss.ts";
import { waitUntil } from "../wait.ts";
import type { Dial } from "./endpoint.ts";
import type { KernelReader } from "./tcp-kernel.ts";

const CHUNK = 64 * 1024;
/** ss is asked ten times a second at first, when windows grow, then four times. */
const SAMPLE_MS = 100;
const LATER_SAMPLE_MS = 250;
const EARLY_MS = 1000;

export interface SendSample {
  /** Since the first byte was written, ms. */
  readonly at_ms: number;
  readonly info: TcpInfo;
}

export interface Sending {
  readonly bytes: number;
  /** Until the last acknowledgement seen, ms. */
  readonly took_ms: number;
  /** Everything was acknowledged; without the kernel's figures: handed to the kernel. */
  readonly complete: boolean;
  readonly samples: readonly SendSample[];
  /** Why the connection broke, as an errno name. */
  readonly broken: string | undefined;
}

/** Sends `bytes` incompressible bytes to a peer that listens on `peerPort`; ends when they are acknowledged, or with the signal. */
export async function sendBytes(
  { socket, broken }: Dial,
  bytes: number,
  around: { kernel: KernelReader; peerPort: number; signal: AbortSignal; onSample(sample: SendSample): void },
): Promise<Sending> {
  const { kernel, peerPort, signal } = around;
  // Whatever the peer sends back is taken in, so that it cannot stop us by its own full buffer.
  socket.resume();
  const start = performance.now();
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  socket.once("close", () => ended.abort());
  const samples: SendSample[] = [];
  let handedOver = false;
  const writing = write(socket, bytes, stop).then((whole) => {
    handedOver = whole;
  });
  let complete = false;
  while (!stop.aborted && !complete) {
    const now = performance.now();
    await waitUntil(now + (now - start < EARLY_MS ? SAMPLE_MS : LATER_SAMPLE_MS), stop);
    const all = handedOver;
    const seen = (await kernel.read([socket], peerPort)).get(socket);
    if (seen !== undefined) {
      const sample = { at_ms: performance.now() - start, info: seen.info };
      samples.push(sample);
      around.onSample(sample);
      complete = all && seen.send_queue === 0;
    } else if (kernel.missing !== undefined) {
      complete = all;
    }
  }
  ended.abort();
  await writing;
  const last = samples.at(-1);
  const took_ms = last === undefined ? performance.now() - start : Math.max(0, last.at_ms - (last.info.last_ack_ms ?? 0));
  return { bytes, took_ms, complete, samples, broken: broken() };
}

/** Hands all bytes to the kernel as it takes them; false when the connection or the run ended before. */
async function write(socket: Socket, bytes: number, stop: AbortSignal): Promise<boolean> {
  const stopped = new Promise<false>((resolve) => stop.addEventListener("abort", () => resolve(false), { once: true }));
  for (let left = bytes; left > 0; left -= CHUNK) {
    if (stop.aborted) return false;
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(CHUNK, left)));
    const taken = new Promise<boolean>((resolve) => {
      socket.write(chunk, (error) => resolve(!error));
    });
    if (!(await Promise.race([taken, stopped]))) return false;
  }
  return true;
}
