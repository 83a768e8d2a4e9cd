import { expect, test } from "vitest";
import type { NetworkEvent, WitnessHop } from "#contract/events";
import { diffRows, eventTone, siblingWord, sortedEvents, verdictWord, withEvent } from "../../web/state/events.ts";
import { iso, NOW } from "./make.ts";

const event = (id: string, minutes: number, patch: Partial<NetworkEvent> = {}): NetworkEvent => ({
  id,
  client_id: "a",
  test_id: "t",
  peer_id: null,
  kind: "target_failed",
  opened_at: iso(NOW - minutes * 60_000),
  completed_at: iso(NOW - minutes * 60_000 + 8000),
  closed_at: null,
  verdict: "access",
  summary: "Only this client cannot reach crm.example.",
  ...patch,
});

const over = { closed_at: iso(NOW) };

test("open events come first, then the newest; one that arrives again takes its own place", () => {
  const events = sortedEvents([event("old", 60, over), event("new", 5, over), event("open", 90)]);
  expect(events.map(({ id }) => id)).toEqual(["open", "new", "old"]);
  const closed = withEvent(events, event("open", 90, over));
  expect(closed.map(({ id }) => id)).toEqual(["new", "old", "open"]);
  expect(withEvent(closed, event("next", 0)).map(({ id }) => id)[0]).toBe("next");
});

test("what is over is no worry; where it is not clear is not said to be", () => {
  expect(eventTone(event("a", 1))).toBe("bad");
  expect(eventTone(event("a", 1, { verdict: "path" }))).toBe("warn");
  expect(eventTone(event("a", 1, { verdict: null }))).toBe("bad");
  expect(eventTone(event("a", 1, over))).toBe("none");
  expect(verdictWord(null)).toBeNull();
  expect(verdictWord("target")).toBe("the destination");
});

test("a witness that saw nothing says so, whatever kept it", () => {
  const word = (state: Parameters<typeof siblingWord>[0]["state"], opinion: Parameters<typeof siblingWord>[0]["opinion"]) =>
    siblingWord({ state, opinion });
  expect(word("answered", "fine")).toEqual({ tone: "ok", word: "reaches it" });
  expect(word("answered", "failed").tone).toBe("bad");
  for (const state of ["pending", "answered", "silent", "busy", "away"] as const)
    expect(word(state, "unknown").tone).toBe("none");
});

const hop = (ttl: number, ...addrs: string[]): WitnessHop => ({
  ttl,
  addrs,
  sent: 3,
  received: addrs.length,
  rtt_median: null,
  loss_pct: null,
  asn: null,
});
const path = (...hops: WitnessHop[]) => ({
  ...({
    result_id: null,
    at: iso(NOW),
    destination: "crm.example",
    address: null,
    method: null,
    status: "ok",
    error: null,
  } as const),
  ...{ reached: true, rtt_median: null },
  hops,
});

test("the path stands beside the last good one, hop by hop", () => {
  const rows = diffRows({
    last_good: path(hop(1, "192.0.2.1"), hop(2, "192.0.2.2"), hop(3), hop(4, "192.0.2.4"), hop(5, "192.0.2.5")),
    path: path(hop(1, "192.0.2.1"), hop(2, "192.0.2.9"), hop(3, "192.0.2.3"), hop(4)),
    diff: {
      outcome: "stops",
      first_difference_ttl: 2,
      stops_after_ttl: 3,
      stops_after_addr: "192.0.2.3",
      changed: [{ ttl: 2, before: ["192.0.2.2"], now: ["192.0.2.9"] }],
      lost: [
        { ttl: 4, addrs: ["192.0.2.4"] },
        { ttl: 5, addrs: ["192.0.2.5"] },
      ],
      rtt_steps: [],
      says: "Nothing answers behind hop 3 any more.",
    },
  });
  expect(rows.map(({ ttl, state }) => [ttl, state])).toEqual([
    [1, "same"],
    [2, "changed"],
    [3, "new"],
    [4, "lost"],
    [5, "lost"],
  ]);
  expect(rows[4]).toMatchObject({ now: null, before: { addrs: ["192.0.2.5"] } });
});

test("one path alone has nothing that changed", () => {
  const rows = diffRows({ last_good: null, path: path(hop(1, "192.0.2.1"), hop(2)), diff: null });
  expect(rows.map(({ state }) => state)).toEqual(["same", "silent"]);
  expect(diffRows({ last_good: null, path: null, diff: null })).toEqual([]);
});
