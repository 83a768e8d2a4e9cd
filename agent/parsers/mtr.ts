// Reads `mtr --raw`: x pos seq (sent), h pos address (host), p pos microseconds seq (answer). Positions count from 0.
import { isIP } from "node:net";
import { type HopAnswer, type HopReader, wholeLines } from "./traceroute.ts";

/** Reads lines in their order and keeps every probe sent, in order, with its answer where one came. */
class MtrLines {
  readonly sent: HopAnswer[] = [];
  readonly #hosts = new Map<number, string>();
  /** Places in `sent` of the probes without an answer, by position and sequence number. */
  readonly #waiting = new Map<string, number>();

  /** The answer this line tells, if any. */
  read(line: string): HopAnswer | undefined {
    const [kind, position = "", word = "", sequence = ""] = line.split(" ");
    if (!/^\d{1,3}$/.test(position) || Number(position) > 254) return undefined;
    const at = Number(position);
    if (kind === "x" && /^\d{1,6}$/.test(word)) {
      this.#waiting.set(`${at} ${Number(word)}`, this.sent.length);
      this.sent.push({ ttl: at + 1, addr: null, rtt: null, icmp: null, mpls: null });
    }
    if (kind === "h" && isIP(word) !== 0) this.#hosts.set(at, word);
    if (kind !== "p" || !/^\d{1,9}$/.test(word) || !/^\d{1,6}$/.test(sequence)) return undefined;
    return this.#answer(at, Number(sequence), Number(word) / 1000);
  }

  #answer(at: number, sequence: number, rtt: number): HopAnswer | undefined {
    const key = `${at} ${sequence}`;
    const place = this.#waiting.get(key);
    const addr = this.#hosts.get(at);
    // A host is named once, before its first answer; without it the answer belongs to nobody.
    if (place === undefined || addr === undefined) return undefined;
    this.#waiting.delete(key);
    const answer: HopAnswer = { ttl: at + 1, addr, rtt, icmp: null, mpls: null };
    this.sent[place] = answer;
    return answer;
  }
}

/** Tells answers only: mtr never says that it has given a probe up. */
export function mtrReader(): HopReader {
  const lines = new MtrLines();
  return (line) => {
    const answer = lines.read(line);
    return answer === undefined ? [] : [answer];
  };
}

/** Every probe sent, in order, with its answer where one came. */
export function parseMtrRaw(stdout: string): HopAnswer[] {
  const lines = new MtrLines();
  for (const line of wholeLines(stdout)) lines.read(line);
  return lines.sent;
}
