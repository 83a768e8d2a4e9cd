// Reads what a whole run of ping printed. Text in, facts out; nothing is guessed.
import { type PingIcmpError, PingLines, type PingReply } from "./ping-line.ts";

/** Milliseconds. */
export interface PingRoundTrips {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly stddev: number | null;
}

export interface PingSummary {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  /** Over all replies, duplicates included; null where the tool printed none. */
  readonly rtt: PingRoundTrips | null;
}

/** The statistics so far, which iputils prints when it gets a SIGQUIT. Milliseconds, to the microsecond. */
export interface PingSnapshot {
  /** Replies so far, without duplicates. */
  readonly received: number;
  readonly min: number;
  readonly mean: number;
  /** Moving average with weight 1/8 for the newest. */
  readonly ewma: number;
  readonly max: number;
}

export interface PingOutput {
  /** In order of arrival. */
  readonly replies: readonly PingReply[];
  readonly errors: readonly PingIcmpError[];
  /** Replies whose data was not what the request carried. */
  readonly altered: number;
  /** null when the tool was killed before its summary. */
  readonly summary: PingSummary | null;
  /** Only where the tool was asked for them. */
  readonly snapshots?: readonly PingSnapshot[];
}

const COUNTS =
  /^(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received(?:, \+?(\d{1,6}) duplicates)?(?:, \+\d{1,6} \w+)*, [\d.]+% packet loss/;
const RTTS =
  /^(?:rtt|round-trip) min\/avg\/max(?:\/(?:mdev|stddev|std-dev))? = (\d{1,16}\.\d+)\/(\d{1,16}\.\d+)\/(\d{1,16}\.\d+)(?:\/(\d{1,16}\.\d+))? ms/;
// iputils met a send time that cannot be, in a damaged reply or after the clock was set: it takes the round trip for 0.
const BAD_TIME = /time of day goes back|invalid tv_u?sec/;
const SNAPSHOT =
  /^\r?(\d{1,6})\/\d{1,6} packets, \d{1,3}% loss, min\/avg\/ewma\/max = (\d{1,9}\.\d{3})\/(\d{1,9}\.\d{3})\/(\d{1,9}\.\d{3})\/(\d{1,9}\.\d{3}) ms$/;

function readSummary(lines: readonly string[]): PingSummary | null {
  const counts = lines.map((line) => COUNTS.exec(line)).find((match) => match !== null);
  if (counts === undefined) return null;
  const times = lines.map((line) => RTTS.exec(line)).find((match) => match !== null);
  const [min, mean, max] = (times?.slice(1, 4) ?? []).map(Number);
  const sane = min !== undefined && mean !== undefined && max !== undefined && min <= mean && mean <= max;
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    duplicates: Number(counts[3] ?? 0),
    rtt: sane ? { min, mean, max, stddev: times?.[4] === undefined ? null : Number(times[4]) } : null,
  };
}

function readSnapshot(line: string): PingSnapshot | undefined {
  const match = SNAPSHOT.exec(line);
  if (match === null) return undefined;
  const [received = 0, min = 0, mean = 0, ewma = 0, max = 0] = match.slice(1).map(Number);
  return { received, min, mean, ewma, max };
}

/**
 * Reads standard output and standard error of one run. A line without its end is ignored: of `time=20.2 ms` cut to
 * `time=2`, the 2 would be an invention.
 */
export function parsePing(stdout: string, stderr = ""): PingOutput {
  const lines = completeLines(stdout);
  const complaints = completeLines(stderr);
  const reader = new PingLines();
  const events = [...lines, ...complaints].map((line) => reader.read(line)).filter((event) => event !== undefined);
  const replies = events.flatMap((event) => (event.type === "reply" ? [event.reply] : []));
  const summary = readSummary(lines);
  // Its summary then counts a 0, whether or not the complaint was printed.
  const badTimes = complaints.some((line) => BAD_TIME.test(line)) || summary?.rtt?.min === 0;
  const snapshots = badTimes ? [] : complaints.map(readSnapshot).filter((snapshot) => snapshot !== undefined);
  return {
    replies,
    errors: events.flatMap((event) => (event.type === "error" ? [event.error] : [])),
    altered: events.filter((event) => event.type === "altered").length,
    summary: badTimes && summary !== null ? { ...summary, rtt: null } : summary,
    ...(snapshots.length > 0 ? { snapshots } : {}),
  };
}

function completeLines(text: string): string[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(/\r$/, ""));
}

/** What a ping complained about, without the statistics it was asked for. */
export function complaintText(stderr: string): string {
  return (
    completeLines(stderr.endsWith("\n") ? stderr : `${stderr}\n`)
      .filter((line) => line.trim() !== "" && !SNAPSHOT.test(line))
      // Every line starts with the tool's own name.
      .map((line) => line.replace(/^\S*ping6?: /, ""))
      .slice(0, 3)
      .join("; ")
      .slice(0, 300)
  );
}

/** What a run that printed no measurement complained about. */
export type PingComplaint = "no_permission" | "no_route" | "bad_option" | "name" | undefined;

/** Reads the complaint of a ping that could not start to measure. */
export function pingComplaint(stderr: string): PingComplaint {
  if (/operation not permitted|permission denied|cap_net_raw|must be root|are you root|lacking privilege/i.test(stderr)) {
    return "no_permission";
  }
  if (
    /network is unreachable|no route to host|network is down|cannot assign requested address|address family not supported/i.test(
      stderr,
    )
  ) {
    return "no_route";
  }
  if (/invalid|unrecognized|usage:|unknown option|illegal option|out of range/i.test(stderr)) return "bad_option";
  if (/name or service not known|temporary failure in name|bad address|unknown host|cannot resolve/i.test(stderr)) return "name";
  return undefined;
}
