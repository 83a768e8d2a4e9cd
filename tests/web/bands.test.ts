// Where the host explains the figures: bands of marks and of flagged runs.
import { expect, test } from "vitest";
import { HOST_FLAG_NAMES } from "#contract/flags";
import {
  bandLetter,
  bandsOfItems,
  bandsOfMarks,
  flagMeaning,
  flagsAt,
  flagsIn,
  flagWord,
  mergeBands,
} from "../../web/state/bands.ts";
import { iso, NOW } from "./make.ts";

const mark = (flag: string, ...minutes: number[]) => ({
  client_id: "a",
  test_id: null,
  peer_id: null,
  flag,
  t: minutes.map((minute) => NOW + minute * 60_000),
});
const run = (second: number, ...flags: string[]) => ({ started_at: iso(NOW + second * 1000), duration_ms: 4000, flags });

test("buckets that touch are one band; others stay apart, and so do flags", () => {
  const bands = mergeBands(bandsOfMarks([mark("cut_off", 0, 1, 2, 9), mark("link_busy", 1)], 60), 60_000);
  expect(bands).toEqual([
    { flag: "cut_off", from: NOW, to: NOW + 180_000 },
    { flag: "link_busy", from: NOW + 60_000, to: NOW + 120_000 },
    { flag: "cut_off", from: NOW + 540_000, to: NOW + 600_000 },
  ]);
});

test("a run without the flag between two that have it parts their bands", () => {
  const live = bandsOfItems([run(10, "cut_off"), run(20), run(30, "cut_off")]);
  const times = [10, 20, 30].map((second) => NOW + second * 1000);
  expect(mergeBands(live, 60_000)).toHaveLength(1);
  expect(mergeBands(live, 60_000, times)).toEqual(live);
});

test("flagged runs after each other are one band, and go on where the buckets end", () => {
  const live = bandsOfItems([run(20, "host_overloaded"), run(10, "host_overloaded", "not_of_the_host"), run(60)]);
  expect(mergeBands(live, 15_000)).toEqual([{ flag: "host_overloaded", from: NOW + 10_000, to: NOW + 24_000 }]);
  const stored = bandsOfMarks([mark("host_overloaded", -1, 0)], 60);
  expect(mergeBands([...stored, ...live], 15_000)).toHaveLength(1);
});

test("a flag of tomorrow draws nothing", () => {
  expect(bandsOfMarks([mark("constructor", 1), mark("moonquake", 1)], 60)).toEqual([]);
  expect(bandsOfItems([run(0, "__proto__", "toString")])).toEqual([]);
});

test("what stands at a moment and in the view", () => {
  const bands = bandsOfMarks([mark("link_busy", 1), mark("host_overloaded", 1, 5)], 60);
  expect(flagsAt(bands, NOW + 90_000, 0)).toEqual(["host_overloaded", "link_busy"]);
  expect(flagsAt(bands, NOW + 150_000, 0)).toEqual([]);
  expect(flagsIn(bands, NOW + 240_000, NOW + 900_000)).toEqual(["host_overloaded"]);
});

test("every flag of the host has a letter of its own, a label and a meaning", () => {
  expect(new Set(HOST_FLAG_NAMES.map(bandLetter)).size).toBe(HOST_FLAG_NAMES.length);
  for (const flag of HOST_FLAG_NAMES) {
    expect(flagWord(flag)).not.toContain("_");
    expect(flagMeaning(flag)).toMatch(/\.$/);
  }
  expect([flagWord("path_moved"), flagMeaning("path_moved")]).toEqual(["path moved", undefined]);
});
