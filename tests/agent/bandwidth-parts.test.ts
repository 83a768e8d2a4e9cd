// The parts of a bandwidth run that compute: slices, responses, counts, allowances, the month's ledger.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Allowance } from "../../agent/bandwidth/allowance.ts";
import { CountReader } from "../../agent/bandwidth/counts.ts";
import { Ledger } from "../../agent/bandwidth/ledger.ts";
import { BadResponse, ResponseReader } from "../../agent/bandwidth/response-reader.ts";
import { gradeOf, responsiveness } from "../../agent/bandwidth/responsiveness.ts";
import { Curve, countedSlices, isSteady, rampOf, rateOf, SLICE_MS, settledHalf, slicesOf } from "../../agent/bandwidth/slices.ts";
import { speedTarget } from "../../agent/bandwidth/target.ts";
import { progressLine } from "../../agent/live-display.ts";
import { scratch } from "./helpers/cli.ts";
import { generator } from "./helpers/mutations.ts";

/** Bytes of a slice at so many Mbit/s. */
const bytesAt = (mbps: number, ms = SLICE_MS): number => (mbps * ms * 1000) / 8;

describe("slices", () => {
  test("bytes over time are rates, over connections that began apart", () => {
    const [one, two] = [new Curve(), new Curve()];
    one.add(0, 0);
    two.add(100, 0);
    for (let at = 50; at <= 1000; at += 50) one.add(at, bytesAt(8, at));
    for (let at = 150; at <= 1000; at += 50) two.add(at, bytesAt(4, at - 100));
    const slices = slicesOf([one, two], 0, 1000).map((slice) => Number(slice.toFixed(3)));
    expect(slices).toEqual([10.4, 12, 12, 12]);
  });

  test("a curve takes nothing that goes back", () => {
    const curve = new Curve();
    curve.add(0, 10);
    expect([curve.add(5, 9), curve.add(-1, 11), curve.add(5, 12)]).toEqual([false, false, true]);
    expect([curve.valueAt(-1), curve.valueAt(2.5), curve.valueAt(99)]).toEqual([0, 11, 12]);
  });

  test("four that agree within 3 % are steady, behind the warm-up only, and zeros never", () => {
    const flat = [50, 49.5, 50.2, 50];
    expect(isSteady(flat, 0)).toBe(true);
    expect(isSteady(flat, 1)).toBe(false);
    expect(isSteady([10, 20, ...flat], 2)).toBe(true);
    expect(isSteady([50, 48, 50, 50], 0)).toBe(false);
    expect(isSteady([0, 0, 0, 0], 0)).toBe(false);
  });

  test("what a stall held back and then gave at once is not counted above the line's rate", () => {
    const stalled = [48, 48, 0, 96, 48, 48, 5, 91, 48, 48];
    expect(rateOf(stalled)).toBeCloseTo(48, 5);
    expect(rateOf([0, 96, 0, 96, 0, 96, 0, 96])).toBe(48);
    expect(rateOf([0, 0, 0, 0])).toBeUndefined();
    expect(rateOf([])).toBeUndefined();
  });

  test("a ramp is no rate: of a phase its budget cut short only slices that agree count", () => {
    expect(countedSlices([1, 2, 4, 8, 16], 8, "budget")).toEqual([]);
    expect(countedSlices([10, 48, 47, 48], 8, "budget")).toEqual([48, 47, 48]);
    expect(countedSlices([10, 48, 47], 8, "budget")).toEqual([]);
    expect(countedSlices([1, 2, 4, 8, 9, 9], 2, "other")).toEqual([4, 8, 9, 9]);
    expect(countedSlices([1, 2], 2, "other")).toEqual([]);
  });

  test("a phase of less than a second is told by its second half, unless it still grows there", () => {
    expect(settledHalf([1, 20, 48, 47, 49, 48], 20)).toEqual([47, 49, 48]);
    expect(settledHalf([1, 2, 4, 8, 16, 32], 20)).toEqual([]);
    // Within one long round trip slow start looks level.
    expect(settledHalf([1, 20, 48, 47, 49, 48], 200)).toEqual([]);
    expect(settledHalf([48, 48, 48], 1)).toEqual([]);
    expect(settledHalf([1, 1, 0, 0], 1)).toEqual([]);
  });

  test("a line that became steady is told by the slices since", () => {
    expect(countedSlices([1, 2, 90, 20, 48, 48, 48, 48], 2, "steady")).toEqual([48, 48, 48, 48]);
    expect(rampOf([5, 30, 45, 48], 48)).toBe(3 * SLICE_MS);
  });
});

/** What a reader makes of pieces, as text. */
function readResponses(pieces: readonly Buffer[], responses = 1): string[] {
  const seen: string[] = [];
  let left = responses;
  const reader = new ResponseReader({
    head: ({ status, headers }) => seen.push(`head ${status} ${headers.get("x") ?? ""}`),
    body: (piece) => {
      const last = seen.at(-1) ?? "";
      if (last.startsWith("body ")) seen[seen.length - 1] = last + piece.toString("latin1");
      else seen.push(`body ${piece.toString("latin1")}`);
    },
    end: (reusable) => {
      seen.push(`end ${reusable}`);
      left -= 1;
      if (left > 0) reader.expect(false);
    },
  });
  reader.expect(false);
  for (const piece of pieces) reader.feed(piece);
  if (!reader.closed()) seen.push("short");
  return seen;
}

const RESPONSES: readonly [string, string, string[]][] = [
  ["a length", "HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 5\r\n\r\nhello", ["head 200 a", "body hello", "end true"]],
  ["until it closes", "HTTP/1.0 200\r\n\r\nabc", ["head 200 ", "body abc", "end false"]],
  [
    "chunks and a trailer",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n02\r\nde\r\n0\r\nT: 1\r\n\r\n",
    ["head 200 ", "body abcde", "end true"],
  ],
  ["an interim one first", "HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n", ["head 204 ", "end true"]],
  ["that it closes", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", ["head 200 ", "end false"]],
  ["less than it said", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", ["head 200 ", "body abc", "short"]],
];

describe("responses", () => {
  test.each(RESPONSES)("%s, cut anywhere", (_name, text, expected) => {
    const bytes = Buffer.from(text, "latin1");
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(readResponses([bytes.subarray(0, cut), bytes.subarray(cut)]), `cut at ${cut}`).toEqual(expected);
    }
    expect(readResponses([...bytes].map((byte) => Buffer.of(byte)))).toEqual(expected);
  });

  test("two in one piece", () => {
    const one = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    expect(readResponses([Buffer.from(one + one)], 2)).toEqual([
      "head 200 ",
      "body a",
      "end true",
      "head 200 ",
      "body a",
      "end true",
    ]);
  });

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["gzip as transfer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"],
    ["a chunk without size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    ["a folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    ["another protocol", "HTTP/1.1 101 Switching\r\n\r\n"],
    ["endless headers", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(10_000)}`],
    ["an endless line", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(100_000)}`],
    ["interim answers for ever", "HTTP/1.1 103 Hints\r\n\r\n".repeat(20)],
    ["an endless chunk size", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${"x".repeat(1000)}`],
    ["an endless trailer", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${"T: 1\r\n".repeat(5000)}`],
  ])("%s is refused", (_name, text) => {
    expect(() => readResponses([Buffer.from(text, "latin1")])).toThrow(BadResponse);
    expect(() => readResponses([...Buffer.from(text, "latin1")].map((byte) => Buffer.of(byte)))).toThrow(BadResponse);
  });

  test("whatever bytes come, it is a response or a BadResponse", () => {
    const chance = generator(20261124);
    const random = (below: number) => Math.floor(chance() * below);
    for (let run = 0; run < 3000; run++) {
      const text = Buffer.from(RESPONSES[random(RESPONSES.length)]?.[1] ?? "", "latin1");
      for (let n = 0; n <= random(4); n++) text[random(text.length)] = random(256);
      try {
        readResponses([text]);
      } catch (error) {
        expect(error).toBeInstanceOf(BadResponse);
      }
    }
  });
});

describe("the receiver's counts", () => {
  const read = (lines: readonly string[], sent = 1e9) => {
    const reader = new CountReader(() => sent);
    for (const [index, line] of lines.entries()) reader.feed(Buffer.from(`${line}\n`), 1000 + index * 250);
    return reader;
  };

  test("are put on this host's clock by the fastest line", () => {
    const reader = new CountReader(() => 1e9);
    reader.feed(Buffer.from('{"t_ms":0,"bytes":0}\n{"t_ms":2'), 1010);
    reader.feed(Buffer.from('50,"bytes":500}\n'), 1250);
    reader.feed(Buffer.from('{"t_ms":500,"bytes":900,"done":true}\n'), 1900);
    const curve = reader.curve();
    expect(reader.good).toBe(true);
    expect([curve.first, curve.last, curve.valueAt(1250), curve.valueAt(1500)]).toEqual([1000, 1500, 500, 900]);
  });

  test.each([
    ["no JSON", ['{"t_ms":0,"bytes":0}', "hello"]],
    ["no number", ['{"t_ms":0,"bytes":0}', '{"t_ms":"1","bytes":5}']],
    ["a fraction of a byte", ['{"t_ms":0,"bytes":0.5}']],
    ["bytes that fall", ['{"t_ms":0,"bytes":9}', '{"t_ms":1,"bytes":8}']],
    ["time that falls", ['{"t_ms":5,"bytes":9}', '{"t_ms":1,"bytes":9}']],
    ["more than was sent", ['{"t_ms":0,"bytes":0}', '{"t_ms":1,"bytes":2000000000}']],
    ["a line without end", ["x".repeat(5000)]],
    ["null", ["null"]],
  ])("%s makes them worthless", (_name, lines) => {
    expect(read([...lines, '{"t_ms":9000,"bytes":10}', '{"t_ms":9001,"bytes":11}']).good).toBe(false);
  });
});

test("the run's bytes are divided over its phases, and what one leaves the next may use", () => {
  const run = new Allowance(600);
  const first = run.share([8, 1, 8, 1]);
  expect(first.total).toBe(200);
  expect([first.take(150), first.take(150), first.take(1)]).toEqual([150, 50, 0]);
  first.giveBack(100);
  expect(run.used).toBe(100);
  expect(run.share([1, 8, 1]).total).toBe(125);
  expect([run.take(500), run.take(1)]).toEqual([true, false]);
});

describe("latency under load", () => {
  test.each([
    [0, "A+"],
    [4.999, "A+"],
    [5, "A"],
    [30, "B"],
    [60, "C"],
    [200, "D"],
    [399.9, "D"],
    [400, "F"],
  ])("%d ms more is %s", (bloat, grade) => {
    expect(gradeOf(bloat)).toBe(grade);
  });

  test("round trips per minute: the mean of the parts' trimmed means, without TLS two parts", () => {
    const rtt = (ms: number) => new Array<number>(20).fill(ms);
    expect(responsiveness({ tcp: rtt(100), tls: [], http: rtt(200) })).toEqual({ rpm: 400, parts: ["tcp", "http"] });
    expect(responsiveness({ tcp: rtt(100), tls: rtt(100), http: rtt(100) })?.rpm).toBe(600);
    // One in twenty may be an outlier.
    expect(responsiveness({ tcp: [...rtt(100).slice(1), 9000], tls: [], http: rtt(100) })?.rpm).toBe(600);
    expect(responsiveness({ tcp: rtt(100), tls: [], http: [] })).toBeUndefined();
  });
});

describe("the month's ledger", () => {
  const NOVEMBER = Date.UTC(2026, 10, 24);
  const limits = { month_bytes: 1000, most: 400, least: 100 };
  let dir = "";
  beforeEach(() => {
    dir = scratch();
    vi.useFakeTimers({ now: NOVEMBER });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const file = () => join(dir, "bandwidth-ledger.json");

  test("a run is entered in full before it begins and corrected at its end", () => {
    const entry = new Ledger(dir).enter(NOVEMBER, limits);
    expect(entry?.granted).toBe(400);
    expect(new Ledger(dir).used(NOVEMBER)).toBe(400);
    expect(entry?.settle(150)).toBe(850);
    expect(new Ledger(dir).used(NOVEMBER)).toBe(150);
  });

  test("one that was killed stays entered in full, and the month ends at its limit", () => {
    for (let killed = 0; killed < 2; killed++) new Ledger(dir).enter(NOVEMBER, limits);
    expect(new Ledger(dir).enter(NOVEMBER, limits)?.granted).toBe(200);
    expect(new Ledger(dir).enter(NOVEMBER, limits)).toBeUndefined();
    expect(new Ledger(dir).used(NOVEMBER)).toBe(1000);
  });

  test("a month begins anew, and a clock that was wrong for a while forgets nothing", () => {
    const ledger = new Ledger(dir);
    ledger.enter(NOVEMBER, limits)?.settle(300);
    ledger.enter(0, limits)?.settle(50);
    expect(ledger.used(Date.UTC(2026, 11, 1))).toBe(0);
    expect(ledger.used(NOVEMBER)).toBe(300);
    for (let month = 0; month < 12; month++) ledger.enter(Date.UTC(2027, month, 1), limits)?.settle(1);
    expect(readFileSync(file(), "utf8").length).toBeLessThan(500);
  });

  test.each(["", "{", "[]", '{"months":{"2026-11":-5},"open":{}}', '{"months":{},"open":{},"x":1}'])(
    "'%s' is no ledger, and nothing is granted",
    (text) => {
      writeFileSync(file(), text);
      expect(() => new Ledger(dir).enter(NOVEMBER, limits)).toThrow(/no ledger.*remove it/);
    },
  );

  test("a ledger that cannot be written grants nothing", () => {
    mkdirSync(join(dir, "bandwidth-ledger.json.tmp"));
    expect(() => new Ledger(dir).enter(NOVEMBER, limits)).toThrow();
  });
});

describe("what a destination means", () => {
  const none = { edge: undefined, session: undefined };
  const target = (destination: string, around: Parameters<typeof speedTarget>[2] = none) => speedTarget(destination, 80, around);

  test.each([
    ["192.0.2.1", "http://192.0.2.1/", "/__down?bytes=5", "/__up"],
    ["[2001:db8::1]:8862", "http://[2001:db8::1]:8862/", "/__down?bytes=5", "/__up"],
    ["http://s.example/", "http://s.example/", "/__down?bytes=5", "/__up"],
    ["https://s.example/a/__down?bytes=1", "https://s.example/a/__down?bytes=1", "/a/__down?bytes=5", "/a/__up"],
    ["https://s.example/__up", "https://s.example/__up", "/__down?bytes=5", "/__up"],
    ["https://s.example/f.bin?x=1", "https://s.example/f.bin?x=1", "/f.bin?x=1", undefined],
  ])("%s", (destination, url, down, up) => {
    const found = target(destination);
    if ("error" in found) throw new Error(found.error.message);
    expect([found.url.url, found.down(5), found.up]).toEqual([url, down, up]);
  });

  test("edge is the agent's server with its token, which goes nowhere else", () => {
    const around = { edge: { server: "https://edge.example/base", token: "secret" }, session: undefined };
    const edge = target("edge", around);
    if ("error" in edge) throw new Error(edge.error.message);
    expect([edge.url.authority, edge.down(5), edge.token]).toEqual([
      "edge.example",
      "/base/api/agent/v1/speed/__down?bytes=5",
      "secret",
    ]);
    for (const other of ["192.0.2.1", "https://edge.example/base/api/agent/v1/speed/__down"]) {
      expect(target(other, around)).toMatchObject({ token: undefined });
    }
    expect(target("edge")).toMatchObject({ error: { code: "invalid_instruction" } });
  });
});

test("the line of progress fits its terminal and speaks no control characters", () => {
  const plain = (text: string) => text;
  const paint = { good: plain, warn: plain, bad: plain, dim: plain, bold: plain };
  expect(progressLine(0.5, "down, 8 connections: 47.2 Mbit/s", 100, paint)).toMatch(
    /^ {2}━{14}─{14} +50 % {2}down, 8 connections: 47\.2 Mbit\/s$/,
  );
  for (const columns of [20, 40, 60])
    expect(progressLine(1, "x".repeat(200), columns, paint).length).toBeLessThanOrEqual(Math.max(columns, 42));
  expect(progressLine(0, "a\u001b[2Jb", 80, paint)).not.toContain("\u001b");
});
