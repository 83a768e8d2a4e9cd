// Finds where a black hole begins: large packets with rising TTL, and small ones where the large ones find no answer.
import { performance } from "node:perf_hooks";
import type { EchoStream } from "./mtu-echo.ts";
import type { LossView } from "./mtu-evidence.ts";

/** Silence is believed when loss explains it with less than this probability, and never before this many packets. */
const SILENCE_CHANCE = 0.01;
const SILENCE_LEAST = 3;
/** The small packet follows when so many large ones went unanswered. */
const SMALL_AFTER = 2;
/** Streams at once. */
const AHEAD = 2;
/** So many silent routers in a row, and the search for the hole ends. */
const MUTE_LIMIT = 4;
const TTL_LIMIT = 40;

interface Answer {
  /** Router or target that answered; null as long as nobody did. */
  readonly from: string | null;
  readonly silent: boolean;
}

export interface HoleEdge {
  /** Last router a large packet reached, null when it did not even reach the first. */
  readonly hop: string | null;
  readonly ttl: number;
  /** First hop only small packets reach. */
  readonly beyond: string | null;
  /** The two are neighbours, so the hole is between them. */
  readonly certain: boolean;
}

export class MtuLocator {
  readonly streams: EchoStream[] = [];
  readonly #start: (size: number, ttl: number) => EchoStream;
  readonly #small: number;
  #size = 0;
  readonly #large = new Map<number, EchoStream>();
  readonly #little = new Map<number, EchoStream>();
  /** TTLs at which neither size was answered. */
  readonly #mute = new Set<number>();
  #edge: HoleEdge | null = null;

  /** `start` begins a stream of packets of a size with a TTL; `small` is a size that passes. */
  constructor(start: (size: number, ttl: number) => EchoStream, small: number) {
    this.#start = start;
    this.#small = small;
  }

  /** Where the hole for this size begins; null as long as it is not known. */
  edge(size: number): HoleEdge | null {
    return size === this.#size ? this.#edge : null;
  }

  /** Stops what runs, for when the hole turned out to be none; what is undecided is asked anew should it be one after all. */
  pause(): void {
    for (const streams of [this.#large, this.#little]) {
      for (const [ttl, stream] of streams) if (stream.running) streams.delete(ttl);
    }
    for (const stream of this.streams) stream.stop();
  }

  /** One step on: `size` is known to vanish. */
  step(size: number, loss: LossView, wait_ms: number): void {
    if (size !== this.#size) this.forget();
    this.#size = size;
    let last: { hop: string | null; ttl: number } = { hop: null, ttl: 0 };
    let open = 0;
    for (let ttl = 1; ttl <= TTL_LIMIT && open < AHEAD && this.#edge === null; ttl++) {
      if (this.#mute.has(ttl)) continue;
      const large = this.#large.get(ttl) ?? this.#add(this.#large, size, ttl);
      const { from, silent } = read(large, loss, wait_ms);
      if (from !== null) {
        large.stop();
        last = { hop: from, ttl };
        continue;
      }
      open += 1;
      // One small stream at a time, for the nearest hop that is open.
      if (open > 1 || unanswered(large, wait_ms) < SMALL_AFTER) continue;
      const little = this.#little.get(ttl) ?? this.#add(this.#little, this.#small, ttl);
      const small = read(little, loss, wait_ms);
      if (small.from !== null) little.stop();
      if (silent && small.from !== null) this.#finish(last, ttl, small.from);
      if (silent && small.silent) this.#passOver(ttl, last);
    }
  }

  /** A router that answers nobody; too many in a row, and nothing more will be learnt. */
  #passOver(ttl: number, last: { hop: string | null; ttl: number }): void {
    this.#mute.add(ttl);
    this.#large.get(ttl)?.stop();
    this.#little.get(ttl)?.stop();
    if (ttl - last.ttl >= MUTE_LIMIT) this.#finish(last, ttl, null);
  }

  /** Takes nothing that was seen so far for granted. */
  forget(): void {
    this.pause();
    this.#large.clear();
    this.#little.clear();
    this.#mute.clear();
    this.#edge = null;
  }

  #add(streams: Map<number, EchoStream>, size: number, ttl: number): EchoStream {
    const stream = this.#start(size, ttl);
    streams.set(ttl, stream);
    this.streams.push(stream);
    return stream;
  }

  #finish(last: { hop: string | null; ttl: number }, ttl: number, beyond: string | null): void {
    this.pause();
    this.#edge = { ...last, beyond, certain: beyond !== null && ttl === last.ttl + 1 };
  }
}

/** Requests that went unanswered for long enough. */
function unanswered(stream: EchoStream, wait_ms: number): number {
  const until = (stream.endedAt ?? performance.now()) - wait_ms;
  const errors = new Set(stream.errors.map((error) => error.index));
  return [...stream.probes].filter(([index, probe]) => !probe.answered && !errors.has(index) && probe.sentAt <= until).length;
}

function read(stream: EchoStream, loss: LossView, wait_ms: number): Answer {
  const exceeded = stream.errors.find((error) => error.kind === "ttl_exceeded");
  if (exceeded !== undefined) return { from: exceeded.from, silent: false };
  if (stream.answers > 0) return { from: stream.target, silent: false };
  const missing = unanswered(stream, wait_ms);
  return { from: null, silent: missing >= SILENCE_LEAST && loss.atMost ** missing < SILENCE_CHANCE };
}
