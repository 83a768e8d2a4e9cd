// Reads what fping prints for one target with -C: a line for each reply, and at the end every round trip in a row.
import type { PingOutput, PingSummary } from "./ping.ts";
import { icmpErrorOf, type PingIcmpError, type PingReply } from "./ping-line.ts";

// `10.0.0.1 : [0], 64 bytes, 20.3 ms (20.3 avg, 0% loss)`; before the colon, the name is padded.
const REPLY = /^(\S+) +: \[(\d{1,6})\], (\d{1,6}) bytes, (\d{1,9}(?:\.\d{1,3})?) ms \(/;
const DUPLICATE = /^(\S+) +: duplicate for \[(\d{1,6})\], (\d{1,6}) bytes, (\d{1,9}(?:\.\d{1,3})?) ms$/;
const ERROR = /^ICMP (.+) from (\S+) for ICMP Echo sent to \S+$/;
const TIMES = /^\S+ +: ((?:-|\d{1,9}(?:\.\d{1,3})?)(?: (?:-|\d{1,9}(?:\.\d{1,3})?))*)$/;
const COUNTS =
  /^\S+ +: xmt\/rcv\/%loss = (\d{1,6})\/(\d{1,6})\/\d{1,3}%(?:, min\/avg\/max = (\d{1,9}(?:\.\d+)?)\/(\d{1,9}(?:\.\d+)?)\/(\d{1,9}(?:\.\d+)?))?$/;

const stepOf = (time: string): number | null => [1, 0.1, 0.01, 0.001][time.split(".")[1]?.length ?? 0] ?? null;

function readReply(line: string): PingReply | undefined {
  const duplicate = DUPLICATE.exec(line);
  const match = duplicate ?? REPLY.exec(line);
  if (match === null) return undefined;
  const [, from = "", index, bytes, time = ""] = match;
  return {
    index: Number(index),
    bytes: Number(bytes),
    from,
    ttl: null,
    rtt: Number(time),
    step: stepOf(time),
    duplicate: duplicate !== null,
    truncated: false,
    damaged: false,
  };
}

function readError(line: string): PingIcmpError | undefined {
  const match = ERROR.exec(line);
  const kind = match?.[1] === undefined ? undefined : icmpErrorOf(match[1]);
  return match === null || kind === undefined ? undefined : { index: null, from: match[2] ?? null, kind, mtu: null };
}

function readSummary(line: string): PingSummary | undefined {
  const times = TIMES.exec(line);
  if (times !== null) {
    const values = (times[1] ?? "").split(" ");
    const received = values.filter((value) => value !== "-").length;
    return { sent: values.length, received, duplicates: 0, rtt: null };
  }
  const counts = COUNTS.exec(line);
  if (counts === null) return undefined;
  const [min, mean, max] = counts.slice(3, 6).map(Number);
  const sane = min !== undefined && mean !== undefined && max !== undefined && min <= mean && mean <= max;
  const rtt = sane ? { min, mean, max, stddev: null } : null;
  return { sent: Number(counts[1]), received: Number(counts[2]), duplicates: 0, rtt };
}

const completeLines = (text: string): string[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(/\r$/, ""));

/** Reads one run against one target; with several targets, or none, there is no summary. */
export function parseFping(stdout: string, stderr: string): PingOutput {
  const [lines, complaints] = [completeLines(stdout), completeLines(stderr)];
  const summaries = complaints.map(readSummary).filter((summary) => summary !== undefined);
  const [first] = summaries;
  const replies = [...lines, ...complaints].map(readReply).filter((reply) => reply !== undefined);
  const errors = complaints.map(readError).filter((error) => error !== undefined);
  if (first === undefined || summaries.length > 1) return { replies, errors, altered: 0, summary: null };
  const duplicates = replies.filter((reply) => reply.duplicate).length;
  return { replies, errors, altered: 0, summary: { ...first, duplicates } };
}
