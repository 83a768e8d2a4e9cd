// Which way packets were lost, against simulated networks whose losses are known; and the statistics of a stream.
import { describe, expect, test } from "vitest";
import { attributeLoss, type Exchanges } from "../../agent/stamp/direction.ts";
import type { Exchange, Role } from "../../agent/stamp/ledger.ts";
import type { StampPacket } from "../../agent/stamp/sender.ts";
import {
  arrivalOrder,
  clockOffset,
  gapDensity,
  isSteady,
  reorderExtent,
  roundTrips,
  variation,
} from "../../agent/stamp/statistics.ts";
import { generator } from "./helpers/mutations.ts";

interface Network {
  /** Probability of a loss each way, of a doubled question, of being overtaken, of somebody else's packet before ours. */
  readonly up: number;
  readonly down: number;
  readonly doubled?: number;
  readonly overtaken?: number;
  readonly others?: number;
  /** The reflector's count before the run. */
  readonly base: number;
  readonly startsAtZero?: boolean;
}

const ESTIMATE = { synchronised: false, ptp: false, error_ms: null };
const replied = (sequence: number) => ({ t2: 0, t3: 0, t4: 0, sequence, estimate: ESTIMATE, timed: true, late: false });

/** One run of 200 packets through the network, with the packets around it as the sender would send them. */
function simulate(seed: number, network: Network): { run: Exchanges; up: number; down: number; lostUp: Set<number> } {
  const random = generator(seed);
  const happens = (chance = 0) => random() < chance;
  const exchanges: Exchange[] = [];
  const spare: { wire: number; sequence: number }[] = [];
  let count = network.base;
  const send = (role: Role, index: number): Exchange => {
    const exchange: Exchange = { role, index, wire: exchanges.length + 1, t1: 0, reply: undefined, unsent: undefined };
    exchanges.push(exchange);
    return exchange;
  };
  const arrive = (exchange: Exchange) => {
    if (happens(network.others)) count += 1;
    const sequence = count++ >>> 0;
    if (happens(network.down)) return;
    if (exchange.reply === undefined) exchange.reply = replied(sequence);
    else spare.push({ wire: exchange.wire, sequence });
  };
  const ask = (role: Role, most: number) => {
    for (let i = 0; i < most; i++) {
      const exchange = send(role, i);
      if (!happens(network.up)) arrive(exchange);
      if (exchange.reply !== undefined) return;
    }
  };
  if (network.startsAtZero !== true) ask("opening", 3);
  const lostUp = new Set<number>();
  const arrivals: { at: number; exchange: Exchange }[] = [];
  for (let i = 0; i < 200; i++) {
    const exchange = send("stream", i);
    if (happens(network.up)) {
      lostUp.add(i);
      continue;
    }
    const at = i + (happens(network.overtaken) ? 1 + 3 * random() : 0);
    arrivals.push({ at, exchange });
    if (happens(network.doubled)) arrivals.push({ at: at + 0.1, exchange });
  }
  for (const { exchange } of arrivals.sort((a, b) => a.at - b.at)) arrive(exchange);
  if (exchanges.at(-1)?.reply === undefined && exchanges.some(({ reply }) => reply !== undefined)) ask("closing", 10);
  const lost = exchanges.filter(({ role, reply }) => role === "stream" && reply === undefined).length;
  const run = { exchanges, spare, undecided: () => false, startsAtZero: network.startsAtZero === true };
  return { run, up: lostUp.size, down: lost - lostUp.size, lostUp };
}

/** Runs of a network: how often the split was equal to the truth, left something open, gave nothing, or was false. */
function judge(network: (seed: number) => Network, runs = 400) {
  const verdicts = { equal: 0, open: 0, nothing: 0, wrong: 0 };
  for (let seed = 1; seed <= runs; seed++) {
    const { run, up, down, lostUp } = simulate(seed, network(seed));
    const split = attributeLoss(run);
    if (split.up === null || split.down === null) verdicts.nothing += 1;
    else if (split.up === up && split.down === down) verdicts.equal += 1;
    else if (split.up <= up && split.down <= down && up + down === split.up + split.down + split.unattributed) verdicts.open += 1;
    else verdicts.wrong += 1;
    for (const [place, fate] of split.fates) {
      if (network(seed).overtaken !== undefined || network(seed).doubled !== undefined || fate === "lost") continue;
      expect([seed, place, fate === "lost_up"]).toEqual([seed, place, lostUp.has(place)]);
    }
  }
  return verdicts;
}

const anyBase = (seed: number) => Math.floor(generator(seed * 31)() * 2 ** 32);

describe("loss by direction, 400 simulated runs each", () => {
  test.each([
    { loss: 0.02, equal: 0.99 },
    { loss: 0.1, equal: 0.95 },
    { loss: 0.2, equal: 0.8 },
  ])("$loss each way: never false, and equal but where it cannot be known", ({ loss, equal }) => {
    const shared = judge((seed) => ({ up: loss, down: loss, base: anyBase(seed) }));
    expect(shared).toMatchObject({ wrong: 0, nothing: 0 });
    expect(shared.equal).toBeGreaterThan(equal * 400);
    const own = judge(() => ({ up: loss, down: loss, base: 0, startsAtZero: true }));
    expect(own).toMatchObject({ wrong: 0, nothing: 0 });
    expect(own.equal).toBeGreaterThan(equal * 400);
  });

  test("one way only", () => {
    expect(judge((seed) => ({ up: 0.1, down: 0, base: anyBase(seed) }))).toMatchObject({ wrong: 0, nothing: 0 });
    expect(judge((seed) => ({ up: 0, down: 0.1, base: anyBase(seed) }))).toMatchObject({ wrong: 0, nothing: 0 });
  });

  test("overtaking does not move losses to the other direction", () => {
    const verdicts = judge((seed) => ({ up: 0.02, down: 0.02, overtaken: 0.05, base: anyBase(seed) }));
    expect(verdicts.equal).toBeGreaterThan(390);
    expect(verdicts.wrong).toBeLessThanOrEqual(4);
  });

  test("doubled questions do not become losses", () => {
    const verdicts = judge((seed) => ({ up: 0.02, down: 0.02, doubled: 0.01, base: anyBase(seed) }));
    expect(verdicts.equal).toBeGreaterThan(360);
    expect(verdicts.wrong).toBeLessThanOrEqual(4);
  });

  test("a count that others move as well gives no split", () => {
    const verdicts = judge((seed) => ({ up: 0.05, down: 0.05, others: 0.5, base: anyBase(seed) }));
    expect(verdicts.nothing).toBe(400);
  });
});

describe("10 000 packets hold this process up for no more than a moment", () => {
  /** Exchanges whose answers have these numbers; undefined is lost. */
  const numbered = (number: (i: number) => number | undefined) =>
    Array.from({ length: 10_000 }, (_, i): Exchange => {
      const sequence = number(i);
      const reply = sequence === undefined ? undefined : replied(sequence);
      return { role: "stream", index: i, wire: i + 1, t1: 0, reply, unsent: undefined };
    });

  test.each<[string, (i: number) => number | undefined]>([
    ["lost one in ten", (i) => (i % 10 === 3 ? undefined : i)],
    ["with others in between", (i) => 2 * i],
    // Every gap is too wide, and packets may have come from far away.
    ["and numbers made to be costly", (i) => (i === 0 ? 10_001 : 2 * i + (i >= 5000 ? 3 : 0))],
  ])("%s", (_what, number) => {
    const exchanges = numbered(number);
    const before = process.cpuUsage();
    const { fates } = attributeLoss({ exchanges, spare: [], undecided: () => false, startsAtZero: true });
    const { user } = process.cpuUsage(before);
    expect(fates.size).toBe(exchanges.filter(({ reply }) => reply === undefined).length);
    expect(user).toBeLessThan(250_000);
  });

  test("and the extent of their reordering", () => {
    const order = [...Array.from({ length: 5000 }, (_, i) => 2 * i), ...Array.from({ length: 5000 }, () => 9997)];
    const before = process.cpuUsage();
    expect(reorderExtent(order)).toBe(5000);
    expect(process.cpuUsage(before).user).toBeLessThan(100_000);
  });
});

test("numbers given twice, as after a restart, give no split", () => {
  const exchanges = [0, 1, 2, 0, 1].map(
    (sequence, i): Exchange => ({ role: "stream", index: i, wire: i + 1, t1: 0, reply: replied(sequence), unsent: undefined }),
  );
  const split = attributeLoss({ exchanges, spare: [], undecided: () => false, startsAtZero: false });
  expect(split).toMatchObject({ numbering: "unusable", up: null, down: null });
});

test("what this host did not send was lost before the reflector", () => {
  const { run } = simulate(3, { up: 0, down: 0, base: 9 });
  const gone = run.exchanges.find(({ role, index }) => role === "stream" && index === 50);
  if (gone === undefined) throw new Error("no such packet");
  gone.unsent = "ENETUNREACH";
  gone.reply = undefined;
  for (const later of run.exchanges.slice(gone.wire)) if (later.reply) later.reply = replied(later.reply.sequence - 1);
  expect(attributeLoss(run)).toMatchObject({ up: 1, down: 0, unattributed: 0 });
});

/** Packets 20 ms apart with these delays each way, a reflector's clock that is off, and a stay of 1 ms; null is lost. */
function stream(delays: readonly (readonly [up: number, down: number] | null)[], offset = 0): StampPacket[] {
  return delays.map((delay, seq): StampPacket => {
    const common = { seq, sent_ms: seq * 20, late_ms: 0 };
    if (delay === null) return { ...common, fate: "lost_up", answer: null };
    const t1 = 1_700_000_000_000.25 + seq * 20;
    const t2 = t1 + delay[0] + offset;
    const t4 = t1 + delay[0] + 1 + delay[1];
    const answer = { seq, t1, t2, t3: t2 + 1, t4, reflector_seq: seq, rtt_ms: delay[0] + delay[1] };
    return { ...common, fate: "answered", answer };
  });
}

describe("statistics of a stream", () => {
  const SWINGING = Array.from({ length: 40 }, (_, i): [number, number] => [i % 2 === 0 ? 10 : 14, 5]);

  test("the variation belongs to its direction, and no offset of the clocks is in it", () => {
    for (const offset of [0, 500, -500, 1e9]) {
      const packets = stream(SWINGING, offset);
      // J approaches |D| = 4 as 4 (1 − (15/16)^n).
      expect(variation(packets, "up").jitter).toBeCloseTo(4 * (1 - (15 / 16) ** 39), 3);
      expect(variation(packets, "up")).toMatchObject({ ipdv_mean: expect.closeTo(4, 2), pdv_p95: expect.closeTo(4, 2) });
      expect(variation(packets, "down")).toMatchObject({ jitter: expect.closeTo(0, 2), ipdv_mean: expect.closeTo(0, 2) });
      expect(isSteady(packets)).toBe(true);
    }
  });

  test("a lost packet parts neighbours; nothing is made of fewer than two", () => {
    expect(variation(stream([[10, 5], null, [14, 5]]), "up")).toMatchObject({
      ipdv_mean: undefined,
      jitter: expect.closeTo(0.25, 3),
    });
    expect(variation(stream([[10, 5]]), "up")).toEqual({ jitter: undefined, ipdv_mean: undefined, pdv_p95: undefined });
    expect(roundTrips(stream([[10, 5], null]))).toEqual([15, null]);
  });

  test.each([0, 137, -500])("an offset of %d ms lies within the bound, however asymmetric the path", (offset) => {
    for (const delays of [
      [[30, 10]],
      [[0.1, 80]],
      [
        [5, 5],
        [50, 60],
      ],
    ] as [number, number][][]) {
      const found = clockOffset(stream(delays, offset), 0);
      expect(Math.abs((found?.estimate ?? Number.NaN) - offset)).toBeLessThanOrEqual(found?.error ?? 0);
    }
    // measurement.md, C: 30 ms up, 10 ms down.
    expect(clockOffset(stream([[30, 10]], 137), 0)).toEqual({ estimate: expect.closeTo(147, 2), error: expect.closeTo(20, 1) });
    expect(clockOffset([], 0)).toBeUndefined();
    // A reflector that counts whole milliseconds is known no better.
    const coarse = stream([[29.75, 10]], 137).map((packet) => packet);
    expect(clockOffset(coarse, 0)?.error).toBeCloseTo(20.875, 1);
  });

  test("a clock that is set, or does not run, is noticed", () => {
    const before = stream(SWINGING);
    const after = stream(SWINGING, 40).slice(20);
    expect(isSteady([...before.slice(0, 20), ...after])).toBe(false);
    const stopped = before.map((packet) =>
      packet.answer === null ? packet : { ...packet, answer: { ...packet.answer, t2: 5, t3: 5 } },
    );
    expect(isSteady(stopped)).toBe(false);
  });

  test("order and extent of reordering (RFC 4737)", () => {
    // Example of RFC 4737 section 4.2.3 in small: 4 arrives behind 5 and 6.
    expect(reorderExtent([1, 2, 3, 5, 6, 4, 7])).toBe(2);
    expect(reorderExtent([1, 2, 3])).toBe(0);
    expect(reorderExtent([3, 2, 1])).toBe(2);
    const late = stream([
      [10, 5],
      [50, 5],
      [10, 5],
      [10, 30],
    ]);
    const numbers = [0, 3, 1, 2];
    const packets = late.map((packet, i) =>
      packet.answer === null ? packet : { ...packet, answer: { ...packet.answer, reflector_seq: numbers[i] ?? 0 } },
    );
    expect(arrivalOrder(packets, "up")).toEqual([0, 2, 3, 1]);
    expect(arrivalOrder(packets, "down")).toEqual([0, 1, 3, 2]);
    expect(arrivalOrder(packets, "both")).toEqual([0, 2, 1, 3]);
  });

  test("loss outside of bursts (RFC 3611)", () => {
    const received = (...lost: number[]) => Array.from({ length: 100 }, (_, i) => !lost.includes(i));
    expect(gapDensity(received())).toBe(0);
    // Two single losses far apart; a burst of three is no gap.
    expect(gapDensity(received(10, 50))).toBeCloseTo(2, 5);
    expect(gapDensity(received(10, 50, 51, 55))).toBeCloseTo(100 / 94, 5);
    expect(gapDensity(new Array(20).fill(false))).toBeUndefined();
  });
});
