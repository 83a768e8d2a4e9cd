import { expect, test } from "vitest";
import type { LiveFrame } from "#contract/api";
import { applyProgress, NO_RUNS, type Runs, runOf } from "../../web/state/progress.ts";
import { NOW, result } from "./make.ts";

type Progress = Extract<LiveFrame, { type: "progress" }>;

const frame = (patch: Partial<Progress> = {}): Progress => ({
  type: "progress",
  client_id: "a",
  run_id: "r",
  test_id: "t",
  peer_id: null,
  state: "running",
  fraction: 0.4,
  note: "down, 8 streams",
  ...patch,
});

const after = (...frames: readonly LiveFrame[]): Runs => frames.reduce((runs, one) => applyProgress(runs, one, NOW), NO_RUNS);

test("a run is shown with its fraction and its note until it says that it is over", () => {
  const begun = after(frame({ state: "started", fraction: null, note: null }));
  expect(runOf(begun, NOW, "t")).toMatchObject({ fraction: null, note: null });
  const under = after(frame({ state: "started", fraction: null, note: null }), frame());
  expect(runOf(under, NOW, "t")).toMatchObject({ fraction: 0.4, note: "down, 8 streams" });
  expect(runOf(under, NOW, "another")).toBeNull();
  expect(runOf(applyProgress(under, frame({ state: "finished", fraction: null, note: null }), NOW), NOW, "t")).toBeNull();
});

test("a bar does not run backwards, and a frame without a figure takes nothing back", () => {
  const runs = after(frame({ fraction: 0.6 }), frame({ fraction: 0.2, note: null }), frame({ fraction: null }));
  expect(runOf(runs, NOW, "t")).toMatchObject({ fraction: 0.6, note: "down, 8 streams" });
});

test("a result ends its run even when nobody said so; another run's does not", () => {
  const runs = after(frame());
  const arrived = (run_id: string | null): LiveFrame => ({ type: "result", client_id: "a", result: result(1, { run_id }) });
  expect(runOf(applyProgress(runs, arrived("another"), NOW), NOW, "t")).not.toBeNull();
  expect(runOf(applyProgress(runs, arrived("r"), NOW), NOW, "t")).toBeNull();
});

test("a run that is heard of no more is gone: soon where it told how far it was, later where it never did", () => {
  const told = after(frame());
  expect(runOf(told, NOW + 10_000, "t")).not.toBeNull();
  expect(runOf(told, NOW + 20_000, "t")).toBeNull();
  const silent = after(frame({ state: "started", fraction: null, note: null }));
  expect(runOf(silent, NOW + 60_000, "t")).not.toBeNull();
  expect(runOf(silent, NOW + 180_000, "t")).toBeNull();
});

test("the peers of a mesh each have their own run", () => {
  const runs = after(frame({ peer_id: "b", fraction: 0.1 }), frame({ peer_id: "c", fraction: 0.7 }));
  expect(runOf(runs, NOW, "t", "b")?.fraction).toBe(0.1);
  expect(runOf(runs, NOW, "t", "d")).toBeNull();
  expect(runOf(runs, NOW, "t")?.fraction).toBe(0.7);
});
