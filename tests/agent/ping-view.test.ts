// What people see of a ping: the rows while it runs, and the few at its end.
import { expect, test } from "vitest";
import type { Measurement } from "#contract/result";
import { parsePing } from "../../agent/parsers/ping.ts";
import { paintFor, RowPrinter } from "../../agent/print.ts";
import { liveReader, PingLive } from "../../agent/probes/ping-live.ts";
import { readPing } from "../../agent/probes/ping-metrics.ts";
import { outcome } from "../../agent/probes/ping-outcome.ts";
import { bars, lostNumbers, pingView } from "../../agent/probes/ping-view.ts";
import type { Row } from "../../agent/rows.ts";

const conditions = { packet_size: 56, timeout: 2, family: 4 as const };

const HEAD = "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.";
const reply = (sequence: number, time: string, more = "", ttl = 62) =>
  `64 bytes from 10.0.0.1: icmp_seq=${sequence} ttl=${ttl} time=${time} ms${more}`;

/** Rows of a run as text and tones, fed line by line. */
function watch(lines: readonly string[], answered: readonly boolean[] = [], interval = 0.2) {
  const rows: Row[] = [];
  const live = new PingLive((row) => rows.push(row), { timeout: 1, interval });
  const see = liveReader(live);
  for (const line of [HEAD, ...lines]) see(line);
  live.end(answered);
  const printer = new RowPrinter(paintFor(process.stderr));
  return { lines: rows.map((row) => printer.line(row)), tones: rows.map((row) => row[1]?.tone), rows };
}

test("each reply is a row; figures stand under each other", () => {
  const { lines, tones } = watch([reply(1, "20.2"), reply(2, "20.4"), reply(3, "19.9"), reply(4, "55.0"), reply(5, "120")]);
  expect(lines).toEqual([
    "     #1        20.2 ms            ttl 62   10.0.0.1",
    "     #2        20.4 ms      +0.2  ttl 62   10.0.0.1",
    "     #3        19.9 ms      −0.4  ttl 62   10.0.0.1",
    "     #4        55.0 ms     +34.8  ttl 62   10.0.0.1",
    "     #5         120 ms      +100  ttl 62   10.0.0.1",
  ]);
  expect(tones).toEqual(["good", "good", "good", "warn", "bad"]);
});

test("what is odd about a reply is said beside it", () => {
  const { lines } = watch([
    reply(2, "20.2"),
    reply(1, "20.3"),
    reply(1, "20.3", " (DUP!)"),
    reply(3, "20.2", "", 61),
    reply(4, "1500"),
    reply(5, "20.2", " (BAD CHECKSUM!)"),
  ]);
  const marks = lines.map((line) => /10\.0\.0\.1 *(.*)$/.exec(line)?.[1]);
  expect(marks).toEqual(["", "out of order", "duplicate", "TTL was 62", "late, TTL was 61", "wrong checksum"]);
});

test("silence is told when it is longer than usual, a loss when it is known", () => {
  const pending = (sequence: number) => `no answer yet for icmp_seq=${sequence}`;
  const short = watch([reply(1, "20.2"), pending(2), reply(3, "20.2")], [true, false, true]);
  expect(short.lines.map((line) => line.trim())).toEqual([
    expect.stringMatching(/^#1 /),
    "#2  no answer yet",
    expect.stringMatching(/^#3 /),
  ]);
  // With a round trip of twice the spacing everything is late to the next request; only #4 is lost.
  const long = watch(
    [
      pending(1),
      pending(2),
      reply(1, "400"),
      pending(3),
      reply(2, "400"),
      pending(4),
      reply(3, "400"),
      pending(5),
      reply(5, "400"),
    ],
    [true, true, true, false, true],
  );
  expect(long.lines.map((line) => line.trim().split(/ {2,}/).slice(0, 2))).toEqual([
    ["#1", "400 ms"],
    ["#2", "400 ms"],
    ["#3", "400 ms"],
    ["#5", "400 ms"],
    ["#4", "lost"],
  ]);
});

test("an ICMP error says who sent it", () => {
  const { lines } = watch([
    "From 10.0.2.2 icmp_seq=1 Destination Host Unreachable",
    "From 10.0.2.2 icmp_seq=2 Frag needed and DF set (mtu = 1400)",
  ]);
  expect(lines[0]).toMatch(/#1 +refused +10\.0\.2\.2 +host unreachable$/);
  expect(lines[1]).toMatch(/#2 +refused +10\.0\.2\.2 +frag needed \(MTU 1400\)$/);
});

test("bars: the shape of the run, however long", () => {
  expect(bars([10, 20, null, 80, 10])).toBe("▁▂·█▁");
  expect(bars([20.1, 20.2, 20.15])).toBe("▁▁▁");
  expect(bars(Array.from({ length: 1000 }, (_, i) => i))).toHaveLength(59);
});

test("lost requests by number", () => {
  expect(lostNumbers([false, false, true, false])).toBe("#1–2 #4");
  expect(lostNumbers(Array.from({ length: 60 }, (_, i) => i % 2 === 0))).toMatch(/^#2 #4 .* #24 …$/);
});

/** The view of a run that printed this. */
function viewOf(stdout: string, count: number, tail_ms = 2000): string[] {
  const reading = readPing(parsePing(stdout), conditions, count);
  if (reading === undefined) throw new Error("not read");
  const made = outcome(reading, { conditions, address: "10.0.0.1", detail: {}, count, cut: false, tail_ms });
  const result: Measurement = {
    ...made,
    type: "ping",
    destination: "10.0.0.1",
    started_at: 0,
    duration_ms: 0,
    flags: [...made.flags],
  };
  const printer = new RowPrinter(paintFor(process.stderr));
  return pingView(result).map((row) => printer.line(row));
}

test("a run with loss: its certainty, its bursts, its round trips", () => {
  const stdout = [
    HEAD,
    reply(1, "20.2"),
    reply(4, "20.4"),
    reply(5, "20.3"),
    "",
    "--- 10.0.0.1 ping statistics ---",
    "5 packets transmitted, 3 received, 40% packet loss, time 801ms",
    "rtt min/avg/max/mdev = 20.215/20.300/20.385/0.070 ms",
    "",
  ].join("\n");
  expect(viewOf(stdout, 5)).toEqual([
    "  loss              40 %  3 of 5 answered  ·  true loss 11.8 to 76.9 % (95 % sure)",
    "  bursts               1  longest 2  ·  #2–3",
    "  round trip    20.30 ms  min 20.21 ms  ·  max 20.39 ms",
    expect.stringMatching(/^ {2}jitter +0\.0\d\d ms +between neighbours 0\.08\d ms$/),
    expect.stringMatching(/^ {26}▁··[▁▂]▁$/),
  ]);
});

test("a last request the tool did not wait for is lost, and how long it had is told", () => {
  const stdout = [
    HEAD,
    reply(1, "20.2"),
    "",
    "--- 10.0.0.1 ping statistics ---",
    "2 packets transmitted, 1 received, 50% packet loss, time 201ms",
    "rtt min/avg/max/mdev = 20.215/20.215/20.215/0.000 ms",
    "",
  ].join("\n");
  expect(viewOf(stdout, 2, 210)[0]).toContain("the last had only 210 ms");
  expect(viewOf(stdout, 2, 2001)[0]).not.toContain("the last");
});
