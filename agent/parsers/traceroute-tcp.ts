// Reads what `traceroute -T -O info` of Linux prints of handshakes with one hop:
// `64  192.0.2.1 <syn,ack,ece>  20.083 ms  20.055 ms *`. The flags stand behind the address and hold until the next ones.
import { isIP } from "node:net";
import { wholeLines } from "./traceroute.ts";

/** What one SYN brought. */
export interface Handshake {
  /** Who answered; null when nobody did. */
  readonly addr: string | null;
  /** TCP flags of the answer as printed, e.g. `syn,ack`; null without an answer, or where it was an ICMP error. */
  readonly flags: string | null;
  /** Milliseconds; null without an answer. */
  readonly rtt: number | null;
}

const HOP = /^ {0,3}\d{1,3} {1,3}(\S.*)$/;
const TOKEN = /<[a-z,]{1,64}>|\d{1,6}\.\d{1,6} ms(?= |$)|\S+/g;

function readHop(text: string): Handshake[] {
  const handshakes: Handshake[] = [];
  let addr: string | null = null;
  let flags: string | null = null;
  for (const token of text.match(TOKEN) ?? []) {
    if (isIP(token) !== 0) [addr, flags] = [token, null];
    else if (token.startsWith("<")) flags = token.slice(1, -1);
    else if (token === "*") handshakes.push({ addr: null, flags: null, rtt: null });
    else if (token.endsWith(" ms") && addr !== null) handshakes.push({ addr, flags, rtt: Number.parseFloat(token) });
  }
  return handshakes;
}

/** One entry for each SYN, in the order sent. */
export function parseHandshakes(stdout: string): Handshake[] {
  return wholeLines(stdout).flatMap((line) => {
    const text = HOP.exec(line)?.[1];
    return text === undefined ? [] : readHop(text);
  });
}
