// Reads hop tables: traceroute of Linux, BusyBox, macOS and the BSDs, and tracert of Windows in any language. Only numbers, marks
// and addresses are read; a line that does not fit is ignored, and a cut one never becomes a number.
import { isIP } from "node:net";

/** What came back for one probe. */
export interface HopAnswer {
  readonly ttl: number;
  /** null when nothing came in time. */
  readonly addr: string | null;
  /** Milliseconds; null without an answer, or where the tool printed no time. */
  readonly rtt: number | null;
  /** What an ICMP error other than time exceeded said: `!H`, `!N`, `!P`, `!X`, `!S`, `!F`, `!<code>`; else null. */
  readonly icmp: string | null;
  /** MPLS label stack as printed, where the tool shows it. */
  readonly mpls: string | null;
}

const TTL_MAX = 255;
const RTT_MAX_MS = 600_000;
// ` 3  10.0.0.1  20.1 ms !X  *`: the hop, then what was seen at it. BSD tools continue a hop on lines without a number.
const HOP = /^ {0,3}(\d{1,3})(?:[?:]*)\s+(\S.*)$/;
const CONTINUED = /^\s{3,}(\S.*)$/;
const TOKEN = /\*|<?\d{1,6}(?:\.\d{1,6})? ?ms(?![^\s!*])|!(?:<\d{1,3}>|[A-Z0-9-]{0,4}|F-\d{1,5})(?=\s|$)|<MPLS:[^>]{1,200}>|\S+/g;

/** `lost` for a star, else the time, null where it is only said to be small. */
type Outcome = "lost" | number | null;

interface Reading {
  addr: string | null;
  /** What was printed before any address, as Windows does. */
  readonly early: Outcome[];
  readonly answers: { addr: string | null; rtt: number | null; icmp: string | null; mpls: string | null }[];
}

/** What a token says of a probe: `*`, `20.1 ms`, `20ms`, or `<1 ms`, which is no figure; undefined when it says nothing of it. */
function outcomeOf(token: string): Outcome | undefined {
  if (token === "*") return "lost";
  const match = /^(<?)(\d{1,6}(?:\.\d{1,6})?) ?ms$/.exec(token);
  const value = Number(match?.[2]);
  if (match === null || value > RTT_MAX_MS) return undefined;
  return match[1] === "<" ? null : value;
}

const addressOf = (token: string): string | undefined => {
  const bare = token.replace(/^[([]|[)\]]$/g, "").replace(/%[\w.-]{1,32}$/, "");
  return isIP(bare) === 0 ? undefined : bare;
};

function readToken(token: string, reading: Reading): void {
  const address = addressOf(token);
  const outcome = outcomeOf(token);
  const last = reading.answers.at(-1);
  const put = (addr: string, what: Outcome) =>
    reading.answers.push({ addr: what === "lost" ? null : addr, rtt: what === "lost" ? null : what, icmp: null, mpls: null });
  if (address !== undefined) {
    reading.addr = address;
    for (const early of reading.early.splice(0)) put(address, early);
  } else if (outcome !== undefined) {
    if (reading.addr === null) reading.early.push(outcome);
    else put(reading.addr, outcome);
  } else if (last === undefined || last.addr === null) return;
  else if (token.startsWith("!")) last.icmp = token;
  else if (token.startsWith("<MPLS:")) last.mpls = token.slice(6, -1);
}

/** What one line's text after the hop number says. */
function readAnswers(ttl: number, text: string): HopAnswer[] {
  const reading: Reading = { addr: null, early: [], answers: [] };
  for (const token of text.match(TOKEN) ?? []) readToken(token, reading);
  // Stars without an address are probes nobody answered; times without an address belong to nobody.
  const silent = reading.early.every((each) => each === "lost") ? reading.early : [];
  return [...silent.map(() => ({ addr: null, rtt: null, icmp: null, mpls: null })), ...reading.answers].map((answer) => ({
    ttl,
    ...answer,
  }));
}

/** Answers of one line; `previous` is the hop an unnumbered line belongs to. */
export function parseHopLine(line: string, previous: number | undefined): HopAnswer[] {
  const hop = HOP.exec(line);
  if (hop !== null) {
    const ttl = Number(hop[1]);
    return ttl >= 1 && ttl <= TTL_MAX ? readAnswers(ttl, hop[2] ?? "") : [];
  }
  const more = previous === undefined ? null : CONTINUED.exec(line)?.[1];
  if (more === null || more === undefined || previous === undefined) return [];
  return addressOf(more.split(/\s/)[0] ?? "") === undefined ? [] : readAnswers(previous, more);
}

/** Takes in whole lines one by one and says what each adds: answers, or that nobody answered, as soon as the tool knows. */
export type HopReader = (line: string) => HopAnswer[];

export function tracerouteReader(): HopReader {
  let previous: number | undefined;
  return (line) => {
    const answers = parseHopLine(line, previous);
    previous = answers.at(-1)?.ttl ?? previous;
    return answers;
  };
}

/** A run's lines. A last one without its end is left out: of `20.2 ms` cut to `2`, the 2 would be invented. */
export const wholeLines = (stdout: string): string[] =>
  stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(/\r$/, ""));

/** Every answer in the order printed. */
export const parseTraceroute = (stdout: string): HopAnswer[] => wholeLines(stdout).flatMap(tracerouteReader());

/** What a tool that printed no hops complained about. */
export type TraceComplaint = "no_permission" | "no_route" | "port_taken" | "bad_option" | undefined;

export function traceComplaint(stderr: string): TraceComplaint {
  if (/not have enough privileges|operation not permitted|permission denied|must be root|are you root/i.test(stderr)) {
    return "no_permission";
  }
  if (/address already in use/i.test(stderr)) return "port_taken";
  if (
    /network is unreachable|no route to host|network is down|cannot assign requested address|family not supported/i.test(stderr)
  ) {
    return "no_route";
  }
  return /invalid|unrecognized|bad option|unknown option|illegal option|usage:|out of range/i.test(stderr)
    ? "bad_option"
    : undefined;
}
