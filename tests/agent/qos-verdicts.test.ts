// What counts as proof: of a class that fares worse, of ECN that is blocked, of a mark that changed.
import { describe, expect, test } from "vitest";
import type { Measurement } from "#contract/result";
import type { PingReading } from "../../agent/probes/ping-metrics.ts";
import type { Captured } from "../../agent/probes/qos-capture.ts";
import { compareClasses } from "../../agent/probes/qos-classes.ts";
import { ecnVerdict, NO_SYNS, tallied } from "../../agent/probes/qos-ecn.ts";
import {
  circleOf,
  dscpChange,
  ecnChange,
  type MarkHop,
  markHops,
  reachOf,
  type Sighting,
  sightingsOf,
} from "../../agent/probes/qos-marks.ts";
import { qosView } from "../../agent/probes/qos-rows.ts";
import { fisherGreater, rankScore } from "../../agent/probes/qos-significance.ts";
import { ranges } from "../../agent/probes/qos-sweeps.ts";
import { generator } from "./helpers/mutations.ts";

describe("significance", () => {
  // Fisher's tea tasting (The Design of Experiments, 1935): 3 or more of 4 right by chance: 17 in 70.
  test.each([
    [{ hits: 3, trials: 4 }, { hits: 1, trials: 4 }, 17 / 70],
    [{ hits: 4, trials: 4 }, { hits: 0, trials: 4 }, 1 / 70],
    [{ hits: 0, trials: 20 }, { hits: 0, trials: 60 }, 1],
    [{ hits: 1, trials: 20 }, { hits: 0, trials: 60 }, 0.25],
    [{ hits: 0, trials: 0 }, { hits: 0, trials: 0 }, 1],
  ])("%j beside %j by chance: %d", (one, other, chance) => {
    expect(fisherGreater(one, other)).toBeCloseTo(chance, 9);
  });

  // Mann and Whitney's own example of order: all of one sample above the other, m = n = 10: U = 100, mean 50, sd 13.229.
  test("ranks", () => {
    const low = Array.from({ length: 10 }, (_, i) => i);
    const high = low.map((value) => value + 100);
    expect(rankScore(high, low)).toBeCloseTo(50 / Math.sqrt((100 * 21) / 12), 9);
    expect(rankScore(low, high)).toBeCloseTo(-50 / Math.sqrt((100 * 21) / 12), 9);
    expect(rankScore(low, low)).toBe(0);
    expect(rankScore([1, 1, 1], [1, 1, 1])).toBe(0);
    expect(rankScore([], [1])).toBe(0);
  });
});

/** A class whose requests took so long, null for a lost one. */
const classOf = (dscp: number, rtts: (number | null)[]) => {
  const reading: Partial<PingReading> = { sent: rtts.length, rtts, answered: rtts.map((rtt) => rtt !== null) };
  return { dscp, reading: reading as PingReading };
};
const times = (n: number, rtt: (i: number) => number | null) => Array.from({ length: n }, (_, i) => rtt(i));

describe("classes", () => {
  const steady = (i: number) => 20 + (i % 5) / 10;
  const usual = [0, 34, 8].map((dscp) => classOf(dscp, times(20, steady)));
  const lossy = (lost: number) => times(20, (i) => (i < lost ? null : steady(i)));

  test.each([0, 1, 2, 3])("%d lost of 20 are no class problem", (lost) => {
    const { worst, by, loss } = compareClasses([...usual, classOf(46, lossy(lost))]);
    expect([worst, by]).toEqual([{ reason: "not_applicable" }, null]);
    expect(loss).toEqual({ value: lost * 5 });
  });

  test.each([5, 10, 20])("%d lost of 20 where nobody else loses are", (lost) => {
    expect(compareClasses([...usual, classOf(46, lossy(lost))])).toMatchObject({ worst: { value: "EF" }, by: "loss" });
  });

  test("loss that meets all classes is none of one", () => {
    const all = [0, 46, 34, 8].map((dscp, i) => classOf(dscp, lossy(8 + (i % 2))));
    expect(compareClasses(all)).toMatchObject({ worst: { reason: "not_applicable" }, loss: { value: 45 } });
  });

  test("a class that takes longer is named, one that hardly does is not", () => {
    const slow = (more: number) =>
      compareClasses([
        ...usual,
        classOf(
          8 + 2,
          times(20, (i) => steady(i) + more),
        ),
      ]);
    expect(slow(5)).toMatchObject({ worst: { value: "AF11" }, by: "rtt", spread: { value: 5 } });
    expect(slow(0.5)).toMatchObject({ worst: { reason: "not_applicable" }, spread: { value: 0.5 } });
  });

  test("one value far off is no slow class", () => {
    const spike = classOf(
      46,
      times(20, (i) => (i === 3 ? 900 : steady(i))),
    );
    expect(compareClasses([...usual, spike])).toMatchObject({ worst: { reason: "not_applicable" } });
  });

  test("too few say nothing", () => {
    const few = [0, 46].map((dscp) => classOf(dscp, [20, 20.1, null]));
    expect(compareClasses(few)).toEqual({
      spread: { reason: "too_few_samples" },
      loss: { reason: "too_few_samples" },
      worst: { reason: "too_few_samples" },
      by: null,
    });
    expect(compareClasses([]).worst).toEqual({ reason: "too_few_samples" });
    const dead = [0, 46].map((dscp) =>
      classOf(
        dscp,
        times(20, () => null),
      ),
    );
    expect(compareClasses(dead)).toMatchObject({
      spread: { reason: "timeout" },
      loss: { value: 100 },
      worst: { reason: "timeout" },
    });
  });

  test("equal classes on a lossy, shaky line are called unequal in less than 2 of 100 runs", () => {
    const random = generator(7);
    let wrong = 0;
    for (let run = 0; run < 500; run++) {
      const classes = [0, 46, 34, 8].map((dscp) =>
        classOf(
          dscp,
          times(20, () => (random() < 0.1 ? null : 20 + 10 * random())),
        ),
      );
      if ("value" in compareClasses(classes).worst) wrong += 1;
    }
    expect(wrong).toBeLessThan(10);
  });
});

describe("ECN handshakes", () => {
  const tally = (sent: number, more: Partial<typeof NO_SYNS> = {}) => ({ ...NO_SYNS, sent, ...more });

  test.each([
    ["agreed", tally(4, { accepted: 4, agreed: 4 }), tally(4, { accepted: 4 }), { value: true }, { value: false }],
    [
      "agreed by one of several servers",
      tally(4, { accepted: 4, agreed: 1 }),
      tally(4, { accepted: 4 }),
      { value: true },
      { value: false },
    ],
    ["not agreed", tally(4, { accepted: 1 }), tally(4, { accepted: 4 }), { value: false }, { value: false }],
    ["4 lost beside 4 accepted", tally(4), tally(4, { accepted: 4 }), { reason: "timeout" }, { reason: "too_few_samples" }],
    ["10 lost beside 10 accepted", tally(10), tally(10, { accepted: 10 }), { reason: "timeout" }, { value: true }],
    ["10 lost beside 6 accepted", tally(10), tally(10, { accepted: 6 }), { reason: "timeout" }, { value: true }],
    ["10 lost beside 4 accepted", tally(10), tally(10, { accepted: 4 }), { reason: "timeout" }, { reason: "too_few_samples" }],
    ["reset beside accepted", tally(10, { refused: 10 }), tally(10, { accepted: 10 }), { reason: "timeout" }, { value: true }],
    ["a closed port", tally(4, { refused: 4 }), tally(4, { refused: 4 }), { reason: "refused" }, { value: false }],
    ["silence", tally(4), tally(4), { reason: "timeout" }, { reason: "timeout" }],
    ["nothing sent", NO_SYNS, NO_SYNS, { reason: "timeout" }, { reason: "timeout" }],
  ])("%s", (_what, ecn, plain, capable, blocked) => {
    expect(ecnVerdict(ecn, plain)).toEqual({ capable, blocked });
  });

  test("only the target's answers count, and one that mirrors ECE and CWR agrees to nothing (RFC 3168 6.1.1)", () => {
    const answer = (addr: string | null, flags: string | null) => ({ addr, flags, rtt: null });
    const answers = [
      answer("192.0.2.1", "syn,ack,ece"),
      answer("192.0.2.1", "syn,ack,ece,cwr"),
      answer("192.0.2.7", "syn,ack,ece"),
      answer("192.0.2.1", "rst,ack"),
      answer("192.0.2.7", null),
      answer(null, null),
    ];
    expect(tallied(NO_SYNS, answers, "192.0.2.1")).toEqual({ sent: 6, accepted: 2, agreed: 1, refused: 1, icmp: 1 });
  });
});

const hop = (ttl: number, dscp: number | null, more: Partial<MarkHop> = {}): MarkHop => ({
  ttl,
  addr: dscp === null ? null : `10.0.${ttl}.1`,
  dscp,
  ecn: dscp === null ? null : 2,
  quotes: dscp === null ? 0 : 1,
  protocol: dscp === null ? null : "udp",
  ...more,
});
const path = (...values: (number | null)[]) => values.map((dscp, i) => hop(i + 1, dscp));

describe("a mark", () => {
  test.each([
    ["kept", path(46, 46, 46), null],
    ["nobody told", path(null, null), null],
    ["changed", path(46, 0, 0), { after_hop: 1, at_hop: 2, to: 0, quotes: 2 }],
    ["changed by this host or its first switch", path(0, 0), { after_hop: 0, at_hop: 1, to: 0, quotes: 2 }],
    ["changed among silent hops", path(46, null, null, 8), { after_hop: 1, at_hop: 4, to: 8, quotes: 1 }],
    ["changed twice", path(46, 8, 8, 0), { after_hop: 1, at_hop: 2, to: 8, quotes: 3 }],
    ["told otherwise by one router on the way", path(46, 0, 46, 46), null],
    ["told otherwise by one router and changed behind it", path(46, 0, 46, 8), { after_hop: 3, at_hop: 4, to: 8, quotes: 1 }],
  ])("%s", (_what, hops, change) => {
    expect(dscpChange(hops, 46)).toEqual(change);
  });

  test("CE is congestion, not clearing; ECT(1) and Not-ECT are no longer what was sent", () => {
    const ecn = (...values: number[]) => ecnChange(values.map((value, i) => hop(i + 1, 46, { ecn: value })));
    expect(ecn(2, 3, 3)).toBeNull();
    expect(ecn(2, 0, 0)).toMatchObject({ after_hop: 1, at_hop: 2, to: 0 });
    expect(ecn(2, 1)).toMatchObject({ at_hop: 2, to: 1 });
  });

  test("that the first hop alone tells of has crossed nothing", () => {
    expect(reachOf(path(46, null), "10.0.9.9")).toEqual({ checked: 1, until: 1, target: false });
    expect(reachOf(path(46), "10.0.1.1")).toEqual({ checked: 1, until: 1, target: true });
  });

  test("silent hops are asked together, doubtful ones alone", () => {
    expect(ranges([2, 3, 5, 6, 7], new Set([6]))).toEqual([
      { first: 2, last: 3 },
      { first: 5, last: 5 },
      { first: 6, last: 6 },
      { first: 7, last: 7 },
    ]);
  });
});

const sighting = (ttl: number, addr: string, more: Partial<Sighting> = {}): Sighting => ({
  ttl,
  addr,
  protocol: "udp",
  dscp: 46,
  ecn: 2,
  expired: true,
  left: 1,
  ...more,
});

describe("hops", () => {
  const TARGET = "10.0.9.9";
  const addresses = (seen: Sighting[], answers: { ttl: number; addr: string }[] = []) =>
    markHops(seen, answers, TARGET).map(({ addr }) => addr);

  test("end with the target's nearest answer: one it gave to a packet that could have gone further is none", () => {
    const target = (ttl: number) => sighting(ttl, TARGET, { expired: false });
    expect(addresses([sighting(1, "a"), target(4), target(3)])).toEqual(["a", null, TARGET]);
    expect(addresses([sighting(1, "a")], [{ ttl: 3, addr: TARGET }])).toEqual(["a", null, TARGET]);
  });

  test("end where the target was, by the time to live its packet had left, though every nearer answer was lost", () => {
    const far = sighting(9, TARGET, { expired: false, left: 3 });
    expect(addresses([sighting(5, "a"), far])).toEqual([null, null, null, null, "a", null, TARGET]);
    expect(addresses([sighting(7, "a"), far])).toHaveLength(9);
    expect(addresses([sighting(1, "a"), sighting(3, TARGET, { expired: false, left: 60 })])).toEqual(["a", null, TARGET]);
  });

  test("of a router that refuses further packets are one", () => {
    expect(addresses([sighting(1, "a"), sighting(2, "b"), sighting(3, "b", { expired: false })])).toEqual(["a", "b"]);
  });

  test("of a circle are told up to where it comes back", () => {
    const seen = ["a", "b", "c", "b", "c", "b"].map((addr, i) => sighting(i + 1, addr));
    expect(addresses(seen)).toEqual(["a", "b", "c", "b"]);
    expect(circleOf(markHops(seen, [], TARGET))).toBe(4);
    expect(circleOf(markHops([sighting(1, "a"), sighting(2, "a"), sighting(3, "b")], [], TARGET))).toBeNull();
  });

  test("have the value most of their quotes have", () => {
    const seen = [46, 0, 46].map((dscp) => sighting(1, "a", { dscp }));
    expect(markHops(seen, [], TARGET)).toMatchObject([{ dscp: 46, quotes: 3 }]);
  });
});

describe("a quote belongs to", () => {
  const probe = (ttl: number, more = {}) => ({
    protocol: "udp" as const,
    source: "a",
    destination: "t",
    ttl,
    tos: 186,
    id: null as number | null,
    source_port: 1,
    port: 33_434,
    mark: 40,
    ...more,
  });
  const sent = (at_ms: number, ttl: number, more = {}): Captured => ({ at_us: at_ms * 1000, sent: probe(ttl, more) });
  const quote = (at_ms: number, more = {}): Captured => ({
    at_us: at_ms * 1000,
    quote: { from: "r", kind: "time_exceeded", probe: probe(1, more) },
  });
  const ttls = (...packets: Captured[]) => sightingsOf(packets).seen.map(({ ttl }) => ttl);

  test("the probe with its number, however late it comes", () => {
    expect(ttls(sent(0, 1, { id: 7 }), sent(2000, 2, { id: 9 }), quote(2001, { id: 7 }), quote(2002, { id: 9 }))).toEqual([1, 2]);
    const tcp = { protocol: "tcp" as const, port: 443 };
    expect(
      ttls(sent(0, 1, { ...tcp, mark: 700 }), sent(2000, 2, { ...tcp, mark: 900 }), quote(2001, { ...tcp, mark: 700 })),
    ).toEqual([1]);
  });

  test("the one just sent, where all are alike and everything before is answered or long given up", () => {
    expect(ttls(sent(0, 1), quote(10), sent(11, 2), quote(31))).toEqual([1, 2]);
    expect(ttls(sent(0, 1), quote(10), sent(11, 2), sent(2011, 3), quote(2031))).toEqual([1, 3]);
  });

  test("nobody for sure, where it may be a late answer to the one before", () => {
    const packets = [sent(0, 1), quote(900), sent(901, 2), sent(2901, 3), quote(3000)];
    expect(sightingsOf(packets)).toMatchObject({ seen: [{ ttl: 1 }], doubtful: new Set([3]) });
  });

  test("the sweep of its length, and to nothing that was not sent", () => {
    expect(ttls(sent(0, 5, { mark: 40 }), sent(2000, 2, { mark: 41 }), quote(2100, { mark: 40 }))).toEqual([5]);
    expect(ttls(quote(1))).toEqual([]);
    expect(ttls(sent(0, 1), quote(1, { mark: 99 }))).toEqual([]);
    expect(ttls(sent(0, 1), quote(1, { port: 53 }))).toEqual([]);
  });
});

describe("the summary", () => {
  const result = (reason: "dns_fail" | "no_permission", detail: Measurement["detail"]): Measurement => ({
    type: "qos",
    destination: "host.example",
    address: null,
    started_at: 0,
    duration_ms: 1,
    status: "failed",
    error: null,
    metrics: { qos_dscp_sent: null, ecn_blocked: null, qos_worst_class: null },
    reasons: { qos_dscp_sent: reason, ecn_blocked: reason, qos_worst_class: reason },
    detail,
    flags: [],
  });

  test("of a run that never began adds nothing to its error", () => {
    expect(qosView(result("dns_fail", { resolve_ms: 1 }))).toEqual([]);
  });

  test("tells what was not tried from what was not answered", () => {
    const text = qosView(result("no_permission", { ecn_port: 443 })).map((row) => row.map((each) => each.text).join(" "));
    expect(text).toEqual(["dscp not followed", "ecn not asked for", "classes not compared"]);
  });
});
