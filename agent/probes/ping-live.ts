// The replies of a running ping as rows for a terminal: what came, from whom, how far off the usual it is.
import { type PingEvent, type PingIcmpError, PingLines, type PingReply } from "../parsers/ping-line.ts";
import { cell, figure, type Row, type Tone } from "../rows.ts";
import { median } from "../statistics.ts";

/** As wide as `no answer yet`, `#1000` and an IPv4 address. */
const WIDTH = { place: 5, time: 13, delta: 8, ttl: 7, from: 15 } as const;
/** Before anything has answered, silence for this long is told, ms. */
const FIRST_PATIENCE_MS = 1000;
/** The usual is the median of this many replies. */
const WINDOW = 50;

/** Half as much again, and noticeably so, is worth a look; three times is bad. Milliseconds. */
function timeTone(rtt: number, usual: number | undefined): Tone {
  if (usual === undefined) return "good";
  if (rtt > 3 * usual + 10) return "bad";
  return rtt > 1.5 * usual + 2 ? "warn" : "good";
}

const place = (index: number) => figure(`#${index + 1}`, WIDTH.place, "dim");

function row(index: number, time: string, tone: Tone, more: { delta?: string; ttl?: string; from?: string; mark?: string }): Row {
  return [
    place(index),
    figure(time, WIDTH.time, tone),
    figure(more.delta ?? "", WIDTH.delta, "dim"),
    cell(more.ttl ?? "", WIDTH.ttl, "dim"),
    cell(more.from ?? "", WIDTH.from, "dim"),
    cell(more.mark ?? "", 0, tone === "good" ? "warn" : tone),
  ];
}

/** A TCP handshake in the place of a reply. Milliseconds. */
export const tcpRow = (index: number, rtt: number | null, port: number): Row =>
  row(index, rtt === null ? "no answer" : `${rtt.toFixed(3)} ms`, rtt === null ? "bad" : "good", { ttl: `tcp ${port}` });

/** `+0.4`, `−3`, and never a negative zero. */
function signed(value: number, digits: number): string {
  const size = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(size) !== 0 ? "−" : "+"}${size}`;
}

const unknownTime = ({ under }: PingReply): string => (under === undefined ? "answered" : `< ${under} ms`);

const decimals = (step: number | null): number => (step === null ? 3 : Math.round(-Math.log10(step)));

/** Turns the lines of one run into rows. */
export class PingLive {
  readonly #show: (row: Row) => void;
  readonly #timeout_ms: number;
  readonly #interval_ms: number;
  readonly #recent: number[] = [];
  readonly #answered = new Set<number>();
  readonly #shown = new Set<number>();
  /** Requests without an answer when the next one left, in order. */
  readonly #waiting = new Set<number>();
  #slowest = 0;
  #highest = -1;
  #ttl: number | null = null;

  /** Times in seconds. */
  constructor(show: (row: Row) => void, times: { readonly timeout: number; readonly interval: number }) {
    this.#show = show;
    this.#timeout_ms = times.timeout * 1000;
    this.#interval_ms = times.interval * 1000;
  }

  /** What the tool just printed. */
  see(event: PingEvent): void {
    if (event.type === "reply") this.#reply(event.reply);
    else if (event.type === "error") this.#error(event.error);
    else if (event.type === "pending") this.#waiting.add(event.index);
    if (event.type === "pending") this.#tellSilence(event.index + 1);
  }

  /** With a round trip longer than the spacing every request is unanswered when the next one leaves: only a long silence is told. */
  #tellSilence(sent: number): void {
    const patience = this.#slowest > 0 ? 2 * this.#slowest : Math.min(this.#timeout_ms, FIRST_PATIENCE_MS);
    for (const index of this.#waiting) {
      if ((sent - index) * this.#interval_ms <= patience) break;
      this.#waiting.delete(index);
      this.#lost(index, "no answer yet");
    }
  }

  /** The run is over: requests not answered in time are lost. */
  end(answered: readonly boolean[]): void {
    answered.forEach((arrived, index) => {
      if (!arrived && !this.#answered.has(index)) this.#lost(index, "lost");
    });
  }

  #lost(index: number, words: string): void {
    if (this.#shown.has(index)) return;
    this.#shown.add(index);
    this.#show(row(index, words, "bad", {}));
  }

  #reply(reply: PingReply): void {
    const { index, rtt, ttl, from } = reply;
    const usual = median(this.#recent);
    const late = rtt !== null && rtt > this.#timeout_ms;
    const marks = [
      ...(reply.duplicate ? ["duplicate"] : []),
      ...(late ? ["late"] : []),
      ...(index < this.#highest && !reply.duplicate ? ["out of order"] : []),
      ...(reply.damaged ? ["wrong checksum"] : []),
      ...(reply.truncated ? ["truncated"] : []),
      ...(ttl !== null && this.#ttl !== null && ttl !== this.#ttl ? [`TTL was ${this.#ttl}`] : []),
    ];
    const tone: Tone = late || reply.damaged ? "bad" : rtt === null ? "good" : timeTone(rtt, usual);
    const digits = decimals(reply.step);
    const off = rtt === null || usual === undefined ? undefined : rtt - usual;
    this.#show(
      row(index, rtt === null ? unknownTime(reply) : `${rtt.toFixed(digits)} ms`, tone, {
        delta: off === undefined ? "" : signed(off, digits),
        ttl: ttl === null ? "" : `ttl ${ttl}`,
        from,
        mark: marks.join(", "),
      }),
    );
    this.#highest = Math.max(this.#highest, index);
    this.#ttl = ttl ?? this.#ttl;
    this.#answered.add(index);
    this.#waiting.delete(index);
    if (rtt === null || late || reply.duplicate || reply.damaged) return;
    this.#slowest = Math.max(this.#slowest, rtt);
    this.#recent.push(rtt);
    if (this.#recent.length > WINDOW) this.#recent.shift();
  }

  #error({ index, from, kind, mtu }: PingIcmpError): void {
    const size = mtu === null ? "" : ` (MTU ${mtu})`;
    if (index !== null) {
      this.#shown.add(index);
      this.#waiting.delete(index);
    }
    this.#show(
      row(index ?? this.#highest + 1, "refused", "bad", {
        from: from ?? "this host",
        mark: `${kind.replaceAll("_", " ")}${size}`,
      }),
    );
  }
}

/** Reads lines as they come and shows each as a row where somebody watches. */
export function liveReader(live: PingLive | undefined): (line: string) => PingEvent | undefined {
  const lines = new PingLines();
  return (line) => {
    const event = lines.read(line);
    if (event !== undefined) live?.see(event);
    return event;
  };
}
