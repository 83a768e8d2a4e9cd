// What an agent could not or was not allowed to measure is nobody's failure, and says why.
import { expect, test } from "vitest";
import type { ErrorCode, ErrorSource } from "#contract/result";
import { clientVerdict } from "../../web/client-verdict.ts";
import { cutOffSpans, cutOffText } from "../../web/cut-off.ts";
import { fleetHealth, healthOfRuns } from "../../web/health.ts";
import { isFailing, notMeasured, resultTone } from "../../web/not-measured.ts";
import { testVerdict } from "../../web/run-verdict.ts";
import { pointsOfResults } from "../../web/state/points.ts";
import { samplesOf } from "../../web/state/use-outage.ts";
import { clientDetail, fleetClient, iso, NOW, result } from "./make.ts";

const failed = (code: ErrorCode, source: ErrorSource, message = "It says why", seq = 1) =>
  result(seq, { status: "failed", error: { code, source, message }, metrics: { ping_rtt_median: null }, test_id: `t${seq}` });

test.each([
  ["cut_off", "cut off", "warn"],
  ["not_consented", "not allowed", "none"],
  ["host_overloaded", "host overloaded", "warn"],
  ["aborted", "ended early", "none"],
] as const)("%s of the agent is no failure of the target", (code, word, tone) => {
  const run = failed(code, "agent");
  expect(notMeasured(run)).toMatchObject({ word, tone });
  expect([isFailing(run), resultTone(run)]).toEqual([false, tone]);
  expect(pointsOfResults([run])).toEqual([]);
  expect(testVerdict(run, "lyon", { up: true, enabled: true, now: NOW })).toMatchObject({ tone });
});

test("whatever else failed is a failure", () => {
  const others = [failed("no_reply", "target"), failed("tool_missing", "agent"), failed("cut_off", "network")];
  for (const run of [...others, { ...failed("cut_off", "agent"), status: "failed" as const, error: null }]) {
    expect([isFailing(run), resultTone(run)]).toEqual([true, "bad"]);
  }
  expect(isFailing({ ...failed("cut_off", "agent"), status: "partial" })).toBe(false);
  expect(pointsOfResults(others).every((point) => point.failed)).toBe(true);
});

test("a test's sentence says that it was not measured, and by whose word", () => {
  const run = failed("not_consented", "agent", "this host's consent file does not allow ping tests");
  expect(testVerdict(run, "lyon", { up: true, enabled: true, now: NOW }).text).toBe(
    "crm.example was not measured: not allowed by the host's owner. This host's consent file does not allow ping tests. Run by lyon.",
  );
});

test("a test's sentence ends with what the host was up to", () => {
  const busy = result(1, { flags: ["link_busy", "a_flag_of_its_type"] });
  expect(testVerdict(busy, "lyon", { up: true, enabled: true, now: NOW }).text).toMatch(
    /Measured from lyon\. Link busy: The measuring host's own line was full/,
  );
});

const minute = (n: number) => NOW - 3_600_000 + n * 60_000;

test("an outage is put together from samples and from runs", () => {
  const samples = [0, 0, 30, 60, 60, 20, 0].map((seconds, n) => ({ t: minute(n), seconds }));
  // It began 30 s before the sample of minute 2 and ended 20 s after the one of minute 4.
  expect(cutOffSpans(samples, [])).toEqual([{ from: minute(1.5), to: minute(4) + 20_000 }]);
  const run = { ...failed("cut_off", "agent"), started_at: iso(minute(40)), duration_ms: 5000 };
  const other = { ...failed("no_reply", "target"), started_at: iso(minute(50)) };
  expect(cutOffSpans(samples, [run, other])).toHaveLength(2);
  expect(cutOffSpans([], [])).toEqual([]);
});

test("samples of a series keep their length, however fine its buckets", () => {
  const series = { client_id: "c1", test_id: null, peer_id: null, metric: "agent_cut_off_s", unit: "s" };
  const figures = (values: number[]) => ({ min: values, median: values, p95: values, max: values });
  const reply = { resolution_s: 5, marks: [], series: [{ ...series, t: [NOW, NOW + 5000], count: [1, 3], ...figures([57, 2]) }] };
  expect(samplesOf(reply)).toEqual([
    { t: NOW + 5000, seconds: 57 },
    { t: NOW + 10_000, seconds: 5 },
  ]);
  expect(samplesOf(undefined)).toEqual([]);
});

test("outages with a good sample between them are two, however near", () => {
  const second = (n: number) => NOW - 3_600_000 + n * 1000;
  const samples = [
    { t: second(0), seconds: 0 },
    { t: second(60), seconds: 57 },
    { t: second(65), seconds: 0 },
    { t: second(130), seconds: 13 },
    { t: second(190), seconds: 0 },
  ];
  expect(cutOffSpans(samples, [])).toEqual([
    { from: second(3), to: second(60) },
    { from: second(117), to: second(130) },
  ]);
});

test("a client that was cut off is told of its line, and its targets are not called failing", () => {
  const outage = { from: NOW - 900_000, to: NOW - 480_000 };
  const text = cutOffText(outage, NOW);
  expect(text).toMatch(/^reached nothing from \d\d:45 to \d\d:52: its own line was cut$/);
  const still = clientDetail({ latest: [failed("cut_off", "agent"), failed("cut_off", "agent", "", 2)] });
  expect(clientVerdict(still, NOW, outage)).toEqual({
    tone: "warn",
    text: `lyon-gw-01 ${text}. 2 tests have not run since, so of their targets nothing is known.`,
  });
  const again = clientVerdict(clientDetail({ latest: [result(1)] }), NOW, outage);
  expect(again.tone).toBe("ok");
  expect(again.text).toMatch(new RegExp(`its 1 test last answered without loss\\. It ${text}\\.$`));
  const longAgo = { from: NOW - 9e6, to: NOW - 8e6 };
  expect(clientVerdict(clientDetail({ latest: [result(1)] }), NOW, longAgo).text).not.toContain("reached nothing");
  const reallyFailing = clientDetail({ latest: [failed("cut_off", "agent"), failed("no_reply", "target", "No reply", 2)] });
  expect(clientVerdict(reallyFailing, NOW, outage)).toMatchObject({ tone: "bad" });
});

test("what the owner does not allow, and what the host had no time for, is said as that", () => {
  const refused = clientDetail({ latest: [result(1), failed("not_consented", "agent", "", 2)] });
  expect(clientVerdict(refused, NOW).text).toMatch(
    /its 1 test last answered without loss; 1 test is not allowed by the host's owner\.$/,
  );
  expect(clientVerdict(clientDetail({ latest: [failed("not_consented", "agent")] }), NOW).tone).toBe("none");
  expect(clientVerdict(clientDetail({ latest: [failed("host_overloaded", "agent")] }), NOW)).toEqual({
    tone: "warn",
    text: "lyon-gw-01 is online, but has no processor time to spare: 1 test could not be measured.",
  });
});

test("health tells them from failing tests", () => {
  expect(healthOfRuns("online", [failed("cut_off", "agent")], null)).toMatchObject({ tone: "warn", word: "online, cut off" });
  expect(healthOfRuns("online", [failed("not_consented", "agent")], null)).toMatchObject({ tone: "ok", word: "online" });
  expect(healthOfRuns("online", [failed("cut_off", "agent"), failed("no_reply", "target")], null)).toMatchObject({ tone: "bad" });
  expect(fleetHealth(fleetClient({ unmeasured: 2 }))).toMatchObject({ tone: "ok", word: "online, 2 tests not measured" });
  expect(fleetHealth(fleetClient({ unmeasured: 2, failing: 1 })).word).toBe("1 test failing");
});
