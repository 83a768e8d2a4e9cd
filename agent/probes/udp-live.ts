// A running udp test on a terminal: one row for each second of the stream.
import { figure, milliseconds, type Row } from "../rows.ts";
import type { AnsweredPacket, StampPacket } from "../stamp/sender.ts";
import { transitOf, type Way } from "../stamp/statistics.ts";
import { mean, median } from "../statistics.ts";

const SECOND_MS = 1000;
/** Answers of a second are waited for twice as long as the slowest took, and a little, ms. */
const PATIENCE = { times: 2, more: 100 } as const;
const WIDTH = { time: 6, answered: 11, ms: 10, lost: 8 } as const;

interface Second {
  readonly answers: AnsweredPacket[];
  sent: number;
  shown: boolean;
}

export interface LiveConditions {
  readonly interval_ms: number;
  readonly timeout_ms: number;
}

/** Mean |D| of neighbours in one direction (RFC 3393). */
function swing(answers: readonly AnsweredPacket[], way: Way): number | undefined {
  const inOrder = [...answers].sort((a, b) => a.seq - b.seq);
  const differences = inOrder.slice(1).flatMap((packet, i) => {
    const before = inOrder[i];
    return before?.seq === packet.seq - 1 ? [Math.abs(transitOf(packet, way) - transitOf(before, way))] : [];
  });
  return mean(differences);
}

export class UdpLive {
  readonly #show: (row: Row) => void;
  readonly #conditions: LiveConditions;
  readonly #seconds: Second[] = [];
  #slowest = 0;
  #headed = false;

  constructor(show: (row: Row) => void, conditions: LiveConditions) {
    this.#show = show;
    this.#conditions = conditions;
  }

  #secondOf(seq: number): number {
    return Math.floor((seq * this.#conditions.interval_ms) / SECOND_MS + 1e-9);
  }

  #at(second: number): Second {
    while (this.#seconds.length <= second) this.#seconds.push({ answers: [], sent: 0, shown: false });
    return this.#seconds[second] ?? { answers: [], sent: 0, shown: false };
  }

  /** A packet left. */
  sent(seq: number): void {
    this.#at(this.#secondOf(seq)).sent += 1;
    this.#flush(seq * this.#conditions.interval_ms);
  }

  /** An answer came. */
  answered(packet: AnsweredPacket): void {
    this.#at(this.#secondOf(packet.seq)).answers.push(packet);
    this.#slowest = Math.max(this.#slowest, packet.t4 - packet.t1);
  }

  /** The stream is over; `packets` are what became of all of them. */
  end(packets: readonly StampPacket[]): void {
    if (packets.every(({ answer }) => answer === null)) return;
    this.#seconds.forEach((second, i) => {
      if (!second.shown) this.#row(second, i);
    });
  }

  /** Shows each second that is over and either complete or waited for long enough. `now` is the time of the stream, ms. */
  #flush(now: number): void {
    const patience = Math.min(this.#conditions.timeout_ms, this.#slowest * PATIENCE.times + PATIENCE.more);
    this.#seconds.forEach((second, i) => {
      const since = now - (i + 1) * SECOND_MS;
      if (second.shown || second.sent === 0 || since < 0) return;
      if (second.answers.length >= second.sent || since >= patience) this.#row(second, i);
    });
  }

  #row(second: Second, index: number): void {
    if (!this.#headed) this.#show(HEADER);
    this.#headed = true;
    second.shown = true;
    const { answers, sent } = second;
    const rtts = answers.flatMap(({ rtt_ms }) => (rtt_ms === null ? [] : [rtt_ms]));
    const lost = sent - answers.length;
    this.#show([
      figure(`${index + 1} s`, WIDTH.time, "dim"),
      figure(`${answers.length} of ${sent}`, WIDTH.answered, lost === 0 ? "good" : lost * 20 > sent ? "bad" : "warn"),
      figure(lost === 0 ? "" : `${lost}`, WIDTH.lost, lost * 20 > sent ? "bad" : "warn"),
      figure(milliseconds(median(rtts)), WIDTH.ms, rtts.length === 0 ? "bad" : "plain"),
      figure(milliseconds(rtts.length === 0 ? undefined : Math.max(...rtts)), WIDTH.ms, "dim"),
      figure(milliseconds(swing(answers, "up")), WIDTH.ms),
      figure(milliseconds(swing(answers, "down")), WIDTH.ms),
    ]);
  }
}

const HEADER: Row = [
  figure("", WIDTH.time, "dim"),
  figure("answered", WIDTH.answered, "dim"),
  figure("missing", WIDTH.lost, "dim"),
  figure("round trip", WIDTH.ms, "dim"),
  figure("longest", WIDTH.ms, "dim"),
  figure("± up", WIDTH.ms, "dim"),
  figure("± down", WIDTH.ms, "dim"),
];
