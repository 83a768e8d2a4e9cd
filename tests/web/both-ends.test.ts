// Panels of what is measured with a second party: UDP, bandwidth, voice, traffic classes.

import { expect, test } from "vitest";
import { delayImpairment, equipmentImpairment, R_DEFAULT } from "#contract/e-model";
import type { Result } from "#contract/result";
import { bytesFrom, bytesText } from "../../web/byte-units.ts";
import { lossOf } from "../../web/loss.ts";
import { gradeTone, limitedText, phasesOfRun, rateOfPhase, singleText } from "../../web/panels/bandwidth-words.ts";
import { changedAt, classesOf, dscpText, ecnText, markedHops } from "../../web/panels/qos-words.ts";
import { secondsOf } from "../../web/panels/udp-seconds.ts";
import { clockText, oneWayText } from "../../web/panels/udp-words.ts";
import { codecWord, ratingTone, satisfaction, takenAway } from "../../web/panels/voice-words.ts";
import { runSentence } from "../../web/run-verdict.ts";
import { budgetNote } from "../../web/state/byte-budget.ts";
import { paramFields, paramText, paramValue } from "../../web/state/param-fields.ts";
import { result } from "./make.ts";

type Metrics = Result["metrics"];
const withMetrics = (type: string, metrics: Metrics, patch: Partial<Result> = {}) => result(1, { type, metrics, ...patch });
const withDetail = (detail: Record<string, unknown>) => result(1, { detail });

const NONSENSE: readonly unknown[] = [undefined, null, 7, "<b>x</b>", {}, [], [null, 7, "x", [], {}], [{ ttl: "1", dscp: {} }]];

test.each(NONSENSE)("detail that is %j is no table, and no crash", (nonsense) => {
  const detail = { series: nonsense, phases: nonsense, hops: nonsense, classes: nonsense, codec: nonsense, up: nonsense };
  const strange = withDetail({ ...detail, dscp_change: nonsense, ecn_change: nonsense });
  expect(secondsOf(strange)).toEqual([]);
  expect(phasesOfRun(strange)).toEqual([]);
  expect(markedHops(strange)).toEqual([]);
  expect(classesOf(strange)).toEqual([]);
  expect(changedAt(strange)).toEqual({ dscp: null, ecn: null });
  expect(takenAway(strange, "up")).toBeNull();
});

test("the loss of a run is that of the round trip; of the worse way where each is all there is", () => {
  expect(lossOf({ udp_loss_pct: 9.5, udp_loss_up_pct: 2, udp_loss_down_pct: 7.7 })).toBe(9.5);
  expect(lossOf({ udp_loss_pct: 3, udp_loss_up_pct: null, udp_loss_down_pct: null })).toBe(3);
  expect(lossOf({ voip_effective_loss_up_pct: 0, voip_effective_loss_down_pct: 4 })).toBe(4);
  expect(lossOf({ bw_down_mbps: 5 })).toBeNull();
});

test("why one-way delay is given, and why not", () => {
  const say = (metrics: Metrics, reasons: Record<string, string> = {}) => oneWayText({ metrics, reasons });
  expect(say({ udp_owd_up_ms: 12, udp_owd_down_ms: 9, udp_owd_err_ms: 0.5, udp_clock_synced: true })).toContain(
    "to within 0.5 ms",
  );
  expect(say({ udp_owd_up_ms: null, udp_clock_synced: false })).toContain("not synchronised");
  expect(say({ udp_owd_up_ms: null, udp_owd_err_ms: 40, udp_clock_synced: true })).toContain("error bound of 40 ms is too large");
  expect(say({ udp_owd_up_ms: null }, { udp_owd_up_ms: "timeout" })).toBe(
    "The delay of one way alone is not given. Not known: it took too long.",
  );
  expect(say({})).toBe("The delay of one way alone is not given.");
});

test.each([
  [147.07, 12.1, "The reflector's clock is 147 ms ahead of this agent's, give or take 12.1 ms."],
  [-3, 0.5, "The reflector's clock is 3 ms behind this agent's, give or take 0.5 ms."],
  [0, null, "The reflector's clock agrees with this agent's."],
] as const)("a clock %s ms off, within %s ms", (clock_offset_est_ms, clock_offset_err_ms, text) =>
  expect(clockText({ metrics: { clock_offset_est_ms, clock_offset_err_ms }, reasons: {} })).toBe(
    `${text} Loss, jitter and round trip do not depend on it.`,
  ),
);

test("the seconds of a stream keep what was not measured apart from nothing lost", () => {
  const seconds = secondsOf(withDetail({ series: { sent: [50, 50], received: [50, 48], lost_up: [0], rtt_median: [24, null] } }));
  expect(seconds).toEqual([
    { sent: 50, received: 50, lostUp: 0, lostDown: null, rttMedian: 24, rttMax: null },
    { sent: 50, received: 48, lostUp: null, lostDown: null, rttMedian: null, rttMax: null },
  ]);
  expect(secondsOf(withDetail({ series: { sent: [50] } }))).toEqual([]);
});

// ITU-T G.107 (06/2015), as computed for measurement: mouth-to-ear ms, loss %, R of G.711 with concealment.
test.each([
  [50, 0, 93.2],
  [50, 1, 89.56],
  [50, 5, 77.42],
  [50, 10, 66.13],
  [200, 0, 90.16],
  [300, 0, 78.44],
  [400, 0, 69.13],
])("%s ms and %s %% loss leave R = %s", (delay, loss, rating) =>
  expect(
    R_DEFAULT - delayImpairment(delay) - equipmentImpairment({ ie: 0, bpl: 25.1, loss_pct: loss, burst_ratio: 1 }),
  ).toBeCloseTo(rating, 1),
);

const call = (patch: Metrics = {}, codec: Record<string, unknown> = { ie: 11, bpl: 19 }) =>
  result(1, {
    type: "voip",
    metrics: {
      voip_r_up: 0,
      voip_loss_up_pct: 2,
      voip_late_up_pct: 1,
      voip_effective_loss_up_pct: 3,
      voip_codec: "g729",
      ...patch,
    },
    detail: { codec, up: { mouth_to_ear_ms: 200 } },
  });
const RATED = R_DEFAULT - delayImpairment(200) - equipmentImpairment({ ie: 11, bpl: 19, loss_pct: 3, burst_ratio: 1 });

test("what took the points adds up to the rating, the most first", () => {
  const taken = takenAway(call({ voip_r_up: RATED }), "up");
  expect(taken?.map(({ what }) => what)).toEqual(["Codec", "Loss", "Too late", "Delay"]);
  expect(R_DEFAULT - (taken ?? []).reduce((sum, { points }) => sum + points, 0)).toBeCloseTo(RATED, 5);
  expect(taken?.[0]?.why).toBe("G.729");
});

test("where the parts do not explain the rating, none is shown", () => {
  expect(takenAway(call({ voip_r_up: RATED + 5 }), "up")).toBeNull();
  expect(takenAway(call({ voip_r_up: RATED, voip_loss_up_pct: null }), "up")).toBeNull();
  expect(takenAway(call({ voip_r_up: RATED }, { ie: -1, bpl: 0 }), "up")).toBeNull();
  expect(takenAway(call({ voip_r_up: RATED }), "down")).toBeNull();
});

test.each([
  [93.2, "very satisfied", "ok"],
  [80, "satisfied", "ok"],
  [75, "some users dissatisfied", "warn"],
  [60, "many users dissatisfied", "warn"],
  [52, "nearly all users dissatisfied", "bad"],
  [10, "not recommended", "bad"],
] as const)("R = %s is %s", (rating, word, tone) => {
  expect(satisfaction(rating)).toBe(word);
  expect(ratingTone(rating)).toBe(tone);
});

test("codecs by their names; one of tomorrow by its own, and nothing that every object inherits", () => {
  expect(codecWord("g729")).toBe("G.729");
  expect(codecWord("opus")).toBe("opus");
  expect(codecWord("constructor")).toBe("constructor");
  expect(codecWord(7)).toBeNull();
  expect([satisfaction(null), satisfaction("x"), ratingTone(undefined)]).toEqual([null, null, "none"]);
});

test("slices of a phase, with the rate the run gives for them", () => {
  const phase = { direction: "down", connections: 8, slices_mbps: [1, 2, 3], warm_up_slices: 9, ended: "steady" };
  const run = withMetrics(
    "bandwidth",
    { bw_down_mbps: 3, bw_single_down_mbps: 1 },
    { detail: { phases: [phase, { ...phase, connections: 1 }] } },
  );
  const [many, one] = phasesOfRun(run);
  expect(many).toMatchObject({ streams: 8, slices: [1, 2, 3], warm: 3, ended: "steady" });
  expect([many, one].map((each) => each && rateOfPhase(run, each))).toEqual([3, 1]);
  // A run that only ever had one connection.
  const lone = withMetrics("bandwidth", { bw_down_mbps: 3, bw_single_down_mbps: null });
  expect(one && rateOfPhase(lone, one)).toBe(3);
});

test("one connection beside many", () => {
  expect(singleText(8.9, 47.8)).toContain("reaches 19 % of it: the path loses packets");
  expect(singleText(45, 47.8)).toBe("One connection alone reaches 94 % of it.");
  expect(singleText(90, 40)).toContain("more than many together");
  expect(singleText(null, 40)).toBeNull();
  expect([gradeTone("A+"), gradeTone("C"), gradeTone("F"), gradeTone("constructor")]).toEqual(["ok", "warn", "bad", "none"]);
  expect([limitedText("host"), limitedText("__proto__")]).toEqual([
    "This host could not keep up; the line may carry more.",
    null,
  ]);
});

test("marks by their names, and what no mark is", () => {
  expect([46, 0, 34, 5, 64, 1.5, null].map(dscpText)).toEqual(["EF (46)", "BE (0)", "AF41 (34)", "DSCP 5", null, null, null]);
  expect([0, 1, 2, 3, 4, null].map(ecnText)).toEqual(["not ECT", "ECT(1)", "ECT(0)", "CE", null, null]);
});

const SENTENCES: readonly (readonly [string, Metrics, string, string])[] = [
  ["udp", { udp_rtt_median: 24.4, udp_loss_pct: 0 }, "ok", "crm.example answers the stream in 24.4 ms, without loss either way."],
  [
    "udp",
    { udp_rtt_median: 24.4, udp_loss_pct: 8.4, udp_loss_up_pct: 0, udp_loss_down_pct: 8.4 },
    "bad",
    "crm.example answers the stream in 24.4 ms, but packets were lost: none up and 8.4 % down.",
  ],
  [
    "udp",
    { udp_rtt_median: 24.4, udp_loss_pct: 1, udp_loss_up_pct: null },
    "warn",
    "crm.example answers the stream in 24.4 ms, but 1 % of packets were lost there and back.",
  ],
  [
    "bandwidth",
    { bw_down_mbps: 47.8, bw_up_mbps: 9.6, bloat_down_ms: 12, bloat_up_ms: 80, bloat_grade: "C" },
    "warn",
    "The line to crm.example carries 47.8 Mbit/s down and 9.6 Mbit/s up; under load the round trip grows by 80 ms (grade C).",
  ],
  ["bandwidth", { bw_down_mbps: 47.8 }, "ok", "The line to crm.example carries 47.8 Mbit/s down."],
  [
    "voip",
    { voip_mos_est: 4.41, voip_r_factor: 93.2, voip_r_up: 93.2, voip_r_down: 93.2 },
    "ok",
    "A call with crm.example has an estimated MOS of 4.41: very satisfied.",
  ],
  [
    "voip",
    { voip_mos_est: 2.9, voip_r_factor: 56, voip_r_up: 56, voip_r_down: 80 },
    "bad",
    "A call with crm.example has an estimated MOS of 2.9: nearly all users dissatisfied; the far end hears it worse.",
  ],
  [
    "qos",
    { qos_dscp_sent: 46, qos_preserved: true, qos_hops_checked: 5, ecn_capable: true, ecn_blocked: false },
    "ok",
    "To crm.example: EF (46) is kept at all 5 hops that could be seen. The destination negotiates ECN.",
  ],
  [
    "qos",
    { qos_dscp_sent: 46, qos_preserved: false, qos_bleached_at_hop: 2, qos_dscp_after: 0, ecn_blocked: true },
    "bad",
    "To crm.example: EF (46) arrives as BE (0) at hop 2: something before it rewrote the class. Handshakes that offer ECN vanish, while others are answered: something on the path blocks ECN.",
  ],
  [
    "qos",
    { qos_rtt_spread_ms: 1.2 },
    "ok",
    "What becomes of traffic classes on the way to crm.example was not seen. Classes differ by 1.2 ms.",
  ],
];

test.each(SENTENCES)("%s with %j is %s: %s", (type, metrics, tone, text) =>
  expect(runSentence(withMetrics(type, metrics))).toEqual({ tone, text }),
);

test.each([
  ["500 MB", 500_000_000],
  ["1.5gb", 1_500_000_000],
  ["1,5 GB", 1_500_000_000],
  ["20G", 20_000_000_000],
  ["12345", 12_345],
  ["64 B", 64],
] as const)("%s is %s bytes", (text, bytes) => expect(bytesFrom(text)).toBe(bytes));

test("what is no number of bytes is told so by the schema", () => {
  for (const text of ["", "x", "-5 MB", "5 MiB", "1e9", "5 m m"]) expect(bytesFrom(text)).toBeUndefined();
  expect([999, 1000, 500_000_000, 1_234_567_890].map(bytesText)).toEqual(["999 B", "1 kB", "500 MB", "1.235 GB"]);
});

test("a byte budget is typed as people write it, and an edit leaves an odd one as it is", () => {
  const budget = paramFields("bandwidth").find(({ name }) => name === "max_bytes");
  expect(budget).toMatchObject({ kind: "bytes", fallback: "500 MB" });
  expect(budget && paramValue(budget, "2 GB")).toBe(2_000_000_000);
  expect(budget && paramValue(budget, "much")).toBe("much");
  expect(paramText("bandwidth", "max_bytes", 2_000_000_000)).toBe("2 GB");
  expect(paramText("bandwidth", "max_bytes", 1_234_567_891)).toBe("1234567891");
  expect(paramText("bandwidth", "streams", 8)).toBe("8");
});

test("a month of runs, bounded by the month's budget", () => {
  const plan = { type: "bandwidth", params: {}, interval_s: 14_400, clients: 3, mesh: false };
  const note = budgetNote(plan);
  expect(note?.text).toContain("180 runs a month of at most 500 MB: at most 20 GB a month for each client, 60 GB for all 3.");
  expect(note?.text).toContain("holds 40 runs that use all of their bytes");
  expect(note?.warning).toBeNull();
  expect(budgetNote({ ...plan, mesh: true })?.text).toContain("to each of 2 others is 360 runs");
  expect(budgetNote({ ...plan, interval_s: 600 })?.warning).toContain("Every 10 min the line is filled");
  expect(budgetNote({ ...plan, params: { max_bytes: 1_000_000 } })?.text).toContain("at most 180 MB a month");
  expect(budgetNote({ ...plan, type: "ping" })).toBeNull();
  expect(budgetNote({ ...plan, params: { max_bytes: "much" } })).toBeNull();
  expect(budgetNote({ ...plan, interval_s: Number.NaN })).toBeNull();
});
