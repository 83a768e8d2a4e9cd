// Reads the hops tracepath prints. It asks the first hop twice; the path MTU it finds is another test's matter.
import { isIP } from "node:net";
import { type HopAnswer, wholeLines } from "./traceroute.ts";

const ANSWER = /^ {0,2}(\d{1,2}): +(\S+)(?: \(\S+\))? +(\d{1,6}\.\d{1,6})ms(?: .*)?$/;
const SILENT = /^ {0,2}(\d{1,2}): +no reply$/;

/** What one line says; no line depends on another. */
export function parseTracepathLine(line: string): HopAnswer[] {
  const silent = SILENT.exec(line);
  if (silent !== null) return [{ ttl: Number(silent[1]), addr: null, rtt: null, icmp: null, mpls: null }];
  const [, ttl, addr = "", rtt] = ANSWER.exec(line) ?? [];
  // A line that tells a smaller MTU is the hop before asking again, not an answer at this distance.
  if (ttl === undefined || Number(ttl) < 1 || isIP(addr) === 0 || / pmtu \d+\s*$/.test(line)) return [];
  const mark = /ms (![A-Z]\b)/.exec(line)?.[1] ?? null;
  return [{ ttl: Number(ttl), addr, rtt: Number(rtt), icmp: mark, mpls: null }];
}

export const parseTracepath = (stdout: string): HopAnswer[] => wholeLines(stdout).flatMap(parseTracepathLine);
