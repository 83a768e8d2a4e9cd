// The E-model and the playout buffer against published figures and against what must hold whatever the stream.
import { describe, expect, test } from "vitest";
import { delayImpairment, equipmentImpairment, mosOf, ratingOf, satisfactionOf } from "#contract/e-model";
import { VOICE_CODECS } from "#contract/test-types/voip";
import type { LossSplit } from "../../agent/stamp/direction.ts";
import type { StampPacket } from "../../agent/stamp/sender.ts";
import { variation } from "../../agent/stamp/statistics.ts";
import { CODECS, codecDelay, packetBytes } from "../../agent/voice/codecs.ts";
import { bufferOf, judgeCall } from "../../agent/voice/judge.ts";
import { type PlayoutBuffer, playOut, type StreamPacket } from "../../agent/voice/playout.ts";
import { streamsOf } from "../../agent/voice/streams.ts";
import { generator } from "./helpers/mutations.ts";

const G711 = CODECS.g711;
const G729 = CODECS.g729;

const rate = (delay_ms: number, loss_pct: number, codec = G711, burst_ratio = 1) =>
  ratingOf({ delay_ms, loss_pct, burst_ratio, ie: codec.ie, bpl: codec.bpl });

describe("the E-model", () => {
  // measurement.md section C, from ITU-T G.107 (06/2015) equations 7-27 to 7-29 and B-4.
  test.each([
    [50, 0, 93.2, 4.41],
    [50, 1, 89.56, 4.33],
    [50, 2, 86.19, 4.23],
    [50, 5, 77.42, 3.92],
    [50, 10, 66.13, 3.41],
    [150, 0, 93.04, 4.41],
    [200, 0, 90.16, 4.34],
    [300, 0, 78.44, 3.96],
    [400, 0, 69.13, 3.56],
  ])("G.711 with concealment, %i ms and %i %% loss", (delay_ms, loss_pct, rating, mos) => {
    const ours = rate(delay_ms, loss_pct);
    expect(Math.abs(ours - rating)).toBeLessThanOrEqual(0.01);
    expect(Math.abs(mosOf(ours) - mos)).toBeLessThanOrEqual(0.02);
  });

  // G.107 table B.1: limits of the categories of user satisfaction, R to MOS-CQE (two decimals).
  test.each([
    [90, 4.34, "very satisfied"],
    [80, 4.03, "satisfied"],
    [70, 3.6, "some users dissatisfied"],
    [60, 3.1, "many users dissatisfied"],
    [50, 2.58, "nearly all users dissatisfied"],
  ])("table B.1: R %i is MOS %f, %s", (rating, mos, words) => {
    expect(Math.abs(mosOf(rating) - mos)).toBeLessThanOrEqual(0.01);
    expect(satisfactionOf(rating)).toBe(words);
    expect(satisfactionOf(rating - 0.001)).not.toBe(words);
  });

  test("the scale ends at 1 and 4.5, and no rating falls below it", () => {
    expect(mosOf(-20)).toBe(1);
    expect(mosOf(0)).toBe(1);
    expect(mosOf(100)).toBe(4.5);
    expect(mosOf(130)).toBe(4.5);
    // B-4 alone gives 0.99 around R = 3.
    for (let rating = 0; rating <= 6.5; rating += 0.25) expect(mosOf(rating)).toBe(1);
    expect(mosOf(6.6)).toBeGreaterThan(1);
    expect(satisfactionOf(49.9)).toBe("not recommended");
    expect(satisfactionOf(0)).toBe("not recommended");
  });

  test("Idd begins above 100 ms, and Ie,eff of G.729A with 2 % is 19 (7-29 by hand: 11 + 84 · 2/21)", () => {
    expect(delayImpairment(100)).toBe(0);
    expect(delayImpairment(0)).toBe(0);
    expect(delayImpairment(200)).toBeCloseTo(3.0444, 4);
    expect(equipmentImpairment({ ie: 11, bpl: 19, loss_pct: 2, burst_ratio: 1 })).toBeCloseTo(19, 10);
    expect(equipmentImpairment({ ie: 0, bpl: 25.1, loss_pct: 5, burst_ratio: 2 })).toBeCloseTo(17.2101, 4);
    // A burst ratio below 1 has no meaning in 7-29.
    expect(equipmentImpairment({ ie: 0, bpl: 25.1, loss_pct: 5, burst_ratio: 0.5 })).toBeCloseTo(15.7807, 4);
  });

  // Ie under random loss as ITU-T G.113 Appendix I (09/1999) tables I.2 and I.3 listed it before there was a Bpl.
  test.each([
    [2, 19],
    [8, 36],
    [16, 49],
  ])("G.729A with %i %% loss costs what the older table says, %i", (loss_pct, listed) => {
    expect(Math.abs(equipmentImpairment({ ie: 11, bpl: 19, loss_pct, burst_ratio: 1 }) - listed)).toBeLessThanOrEqual(0.5);
  });

  test("Ie and Bpl are those of ITU-T G.113 (09/2024) Appendix I, table I.4", () => {
    expect(VOICE_CODECS.map((name) => [name, CODECS[name].ie, CODECS[name].bpl, CODECS[name].provisional])).toEqual([
      ["g711", 0, 25.1, false],
      ["g729", 11, 19, false],
      ["g711-noplc", 0, 4.3, true],
      ["g723.1", 15, 16.1, true],
      ["gsm-efr", 5, 10, true],
    ]);
    for (const name of VOICE_CODECS) expect(CODECS[name].source).toContain("G.113");
    expect([packetBytes(G711), packetBytes(G729)]).toEqual([172, 32]);
    // G.114 table I.4: two frames a packet of G.729 take 35 ms, one of G.723.1 takes 67.5 ms.
    expect([codecDelay(G729), codecDelay(CODECS["g723.1"])]).toEqual([35, 67.5]);
  });

  test("more delay, loss or bursts never raise the rating or the MOS", () => {
    for (const name of VOICE_CODECS) {
      const { ie, bpl } = CODECS[name];
      const of = (delay_ms: number, loss_pct: number, burst_ratio: number) => {
        const rating = ratingOf({ delay_ms, loss_pct, burst_ratio, ie, bpl });
        return [rating, mosOf(rating)] as const;
      };
      const notAbove = (worse: readonly [number, number], better: readonly [number, number]) => {
        expect(worse[0]).toBeLessThanOrEqual(better[0] + 1e-9);
        expect(worse[1]).toBeLessThanOrEqual(better[1] + 1e-9);
      };
      for (let delay = 0; delay <= 800; delay += 40) {
        for (const loss of [0, 0.2, 1, 3, 10, 30, 70, 99]) {
          for (const burst of [0.8, 1, 1.5, 3, 10]) {
            const here = of(delay, loss, burst);
            notAbove(of(delay + 7, loss, burst), here);
            notAbove(of(delay, loss + 0.5, burst), here);
            notAbove(of(delay, loss, burst + 0.5), here);
          }
        }
      }
    }
  });

  test("the original's mistakes: 1 % loss is no MOS of 2.17, and 400 ms is none of 4.29", () => {
    expect(mosOf(rate(50, 1))).toBeGreaterThan(4.3);
    expect(mosOf(rate(50, 2))).toBeGreaterThan(4.2);
    expect(mosOf(rate(400, 0))).toBeLessThan(3.6);
  });
});

/** A stream of one packet each 20 ms with these transit times. */
const stream = (transits: readonly (number | null | undefined)[]): StreamPacket[] =>
  transits.map((transit_ms, i) => ({ sent_ms: i * 20, transit_ms }));
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const FIXED = (ms: number): PlayoutBuffer => ({ kind: "fixed", ms });
const ADAPTIVE: PlayoutBuffer = { kind: "adaptive", least_ms: 20 };

function play(transits: readonly (number | null | undefined)[], buffer: PlayoutBuffer) {
  const played = playOut(stream(transits), buffer);
  if (played === undefined) throw new Error("nothing was played");
  return played;
}

describe("the playout buffer", () => {
  test("a packet later than the buffer is as good as lost", () => {
    const transits = times(100, (i) => (i % 10 === 0 ? 95 : 30));
    const lost = times(100, (i) => (i % 10 === 0 ? null : 30));
    const late = play(transits, FIXED(60));
    expect(late).toMatchObject({ lost: 0, late: 10, loss_pct: 0, late_pct: 10, effective_loss_pct: 10, buffer_ms: 60 });
    const gone = play(lost, FIXED(60));
    expect(gone).toMatchObject({ lost: 10, late: 0, loss_pct: 10, effective_loss_pct: 10 });
    expect(late.burst_ratio).toBe(gone.burst_ratio);
    const call = (up: readonly (number | null)[]) => judgeCall(stream(up), stream(times(100, () => 30)), G711, FIXED(60));
    expect(call(transits)?.up.mos).toBe(call(lost)?.up.mos);
    // The boundary itself is in time.
    expect(
      play(
        times(50, (i) => (i === 7 ? 90 : 30)),
        FIXED(60),
      ).late,
    ).toBe(0);
    expect(
      play(
        times(50, (i) => (i === 7 ? 90.01 : 30)),
        FIXED(60),
      ).late,
    ).toBe(1);
  });

  test("clocks that differ by years change nothing", () => {
    const random = generator(5);
    const transits = times(300, () => (random() < 0.05 ? null : 40 + random() * 60));
    const offset = 1.7e12;
    for (const buffer of [FIXED(40), ADAPTIVE]) {
      const near = play(transits, buffer);
      const far = play(
        transits.map((transit) => (transit === null ? null : transit + offset)),
        buffer,
      );
      expect({ ...far, buffer_ms: 0, fastest_ms: 0 }).toEqual({ ...near, buffer_ms: 0, fastest_ms: 0 });
      expect(far.buffer_ms).toBeCloseTo(near.buffer_ms, 2);
    }
  });

  test("clocks that drift apart make no packet late", () => {
    // 200 ppm over five minutes are 60 ms, three times the buffer.
    const drifting = times(15_000, (i) => 25 + i * 20 * 200e-6);
    expect(play(drifting, FIXED(20)).late).toBe(0);
    expect(play(drifting, ADAPTIVE)).toMatchObject({ late: 0 });
    expect(play(drifting, ADAPTIVE).buffer_ms).toBeLessThan(30);
  });

  test("the adaptive one shrinks on a quiet path and grows on a wild one", () => {
    expect(
      play(
        times(1500, (i) => 30 + (i % 3)),
        ADAPTIVE,
      ).buffer_ms,
    ).toBeLessThan(25);
    const random = generator(7);
    const wild = times(1500, () => 30 + random() * 90);
    const played = play(wild, ADAPTIVE);
    expect(played.buffer_ms).toBeGreaterThan(80);
    expect(played.buffer_ms).toBeLessThan(101);
    expect(played.late_pct).toBeLessThan(1.5);
    // Its length is bounded: what queues for half a second is lost to the listener.
    const choked = play(
      times(1500, (i) => (i % 20 === 0 ? 600 : 30)),
      ADAPTIVE,
    );
    expect(choked.buffer_ms).toBeLessThanOrEqual(200);
    expect(choked.late_pct).toBeCloseTo(5, 5);
  });

  test("it knows only packets that have arrived already", () => {
    const calm = times(400, (i) => 30 + (i % 5));
    const storm = times(400, () => 130);
    const before = play(calm, ADAPTIVE);
    const both = play([...calm, ...storm.map((transit, i) => transit + (i % 2) * 40)], ADAPTIVE);
    // The first packets of the storm come while nobody expects it.
    expect(both.late).toBeGreaterThan(before.late);
  });

  test("packets that arrived at an unknown time are not lost, and as late as the others", () => {
    const transits = times(200, (i) => (i % 4 === 0 ? undefined : i % 4 === 1 ? 90 : 30));
    const played = play(transits, FIXED(40));
    expect(played.loss_pct).toBe(0);
    expect(played.late_pct).toBeCloseTo(100 / 3, 5);
  });

  test("nothing arrived, nothing is said", () => {
    expect(playOut(stream([null, null, null]), ADAPTIVE)).toBeUndefined();
    expect(playOut([], FIXED(40))).toBeUndefined();
    expect(judgeCall(stream([null, null]), stream([30, 30]), G711, ADAPTIVE)).toBeUndefined();
  });

  test("bursts are worse than the same loss alone, and more loss or jitter never helps", () => {
    const good = stream(times(1000, () => 20));
    const mosOfUp = (up: readonly (number | null)[], buffer: PlayoutBuffer = FIXED(60)) =>
      judgeCall(stream(up), good, G711, buffer)?.up.mos ?? Number.NaN;
    const single = mosOfUp(times(1000, (i) => (i % 20 === 0 ? null : 20)));
    const bursts = mosOfUp(times(1000, (i) => (i % 100 < 5 ? null : 20)));
    expect(bursts).toBeLessThan(single);
    let before = 5;
    for (const share of [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4]) {
      // The same packets and more are lost each time.
      const random = generator(11);
      const now = mosOfUp(times(1000, () => (random() < share ? null : 20)));
      expect(now).toBeLessThanOrEqual(before);
      before = now;
    }
    before = 5;
    for (const jitter of [0, 10, 30, 80, 160, 400]) {
      const random = generator(13);
      const now = mosOfUp(
        times(1000, () => 20 + random() * jitter),
        bufferOf(undefined, G711),
      );
      expect(now).toBeLessThanOrEqual(before + 1e-9);
      before = now;
    }
  });
});

describe("the streams of a run", () => {
  const LOSS: LossSplit = { numbering: "session", up: 0, down: 0, unattributed: 0, fates: new Map() };
  const split = (
    up: number,
    down: number,
    fates: readonly (readonly [number, "lost_up" | "lost_down" | "lost"])[],
  ): LossSplit => ({
    ...LOSS,
    up,
    down,
    unattributed: 0,
    fates: new Map(fates),
  });

  /** Sent every 20 ms, `late` ms behind its time, 10 ms up and 12 ms down; read `read` ms after it arrived. */
  function packet(seq: number, { late = 0, read = 0, lost = false } = {}): StampPacket {
    const sent_ms = seq * 20 + late;
    const t1 = 1.7e12 + sent_ms;
    const answer = { seq, t1, t2: t1 + 510, t3: t1 + 511, t4: t1 + 23 + read, reflector_seq: seq, rtt_ms: 22 + read };
    return { seq, sent_ms, late_ms: late, fate: lost ? "lost" : "answered", answer: lost ? null : answer };
  }

  test("jitter is that of the order of arrival, the same as udp's, where packets overtake each other", () => {
    const random = generator(17);
    const packets = times(300, (seq): StampPacket => {
      const t1 = 1.7e12 + seq * 20;
      const [up, down] = [10 + random() * 90, 10 + random() * 50];
      const answer = {
        seq,
        t1,
        t2: t1 + up + 500,
        t3: t1 + up + 501,
        t4: t1 + up + 1 + down,
        reflector_seq: seq,
        rtt_ms: up + down,
      };
      return { seq, sent_ms: seq * 20, late_ms: 0, fate: "answered", answer };
    });
    const { up, down } = streamsOf({ packets, loss: LOSS });
    const call = judgeCall(up, down, G711, FIXED(100));
    expect(call?.up.jitter_ms).toBeCloseTo(variation(packets, "up").jitter ?? 0, 2);
    expect(call?.down.jitter_ms).toBeCloseTo(variation(packets, "down").jitter ?? 0, 2);
  });

  test("a lost packet is missing in its direction only, and what never got there was never sent back", () => {
    const packets = times(10, (i) => packet(i, { lost: i === 3 || i === 6 }));
    const {
      up,
      down,
      split: known,
    } = streamsOf({
      packets,
      loss: split(1, 1, [
        [3, "lost_up"],
        [6, "lost_down"],
      ]),
    });
    expect(known).toBe(true);
    expect(up.map(({ transit_ms }) => transit_ms)).toEqual([510, 510, 510, null, 510, 510, undefined, 510, 510, 510]);
    expect(down).toHaveLength(9);
    expect(down.filter(({ transit_ms }) => transit_ms === null)).toHaveLength(1);
  });

  test("where only their number is known, the losses of each direction stay as many and together", () => {
    const lost = [2, 3, 4, 5, 12, 13];
    const packets = times(20, (i) => packet(i, { lost: lost.includes(i) }));
    const {
      up,
      down,
      split: known,
    } = streamsOf({
      packets,
      loss: split(
        3,
        3,
        lost.map((seq) => [seq, "lost"] as const),
      ),
    });
    expect(known).toBe(true);
    const missing = (stream: readonly StreamPacket[]) => stream.flatMap(({ transit_ms }, i) => (transit_ms === null ? [i] : []));
    expect(missing(up)).toEqual([2, 3, 12]);
    expect(missing(down)).toHaveLength(3);
    expect(down).toHaveLength(17);
  });

  test("what nobody can attribute is missing in both", () => {
    const packets = times(20, (i) => packet(i, { lost: i >= 15 }));
    const fates = [15, 16, 17, 18, 19].map((seq) => [seq, "lost"] as const);
    const { up, down, split: known } = streamsOf({ packets, loss: { ...split(0, 0, fates), unattributed: 5 } });
    expect(known).toBe(false);
    for (const each of [up, down]) expect(each.filter(({ transit_ms }) => transit_ms === null)).toHaveLength(5);
  });

  test("an answer that waited because this process was held up is no late packet", () => {
    // Held up for 60 ms from 200 ms on: the packets due at 200, 220 and 240 ms left at 260, and what had come was read then.
    const packets = times(30, (i) => {
      if (i === 9) return packet(i, { read: 260 - 203 });
      if (i >= 10 && i <= 12) return packet(i, { late: 260 - i * 20 });
      return packet(i);
    });
    const { up, down } = streamsOf({ packets, loss: LOSS });
    expect(down[9]?.transit_ms).toBeUndefined();
    expect(down.filter(({ transit_ms }) => typeof transit_ms === "number" && transit_ms > 13)).toEqual([]);
    expect(judgeCall(up, down, G711, FIXED(20))?.down.playout).toMatchObject({ late: 0, effective_loss_pct: 0 });
  });
});

describe("a call", () => {
  test("each direction is judged by itself, and the worse one speaks for the call", () => {
    const up = stream(times(500, (i) => (i % 10 === 3 ? null : 25)));
    const down = stream(times(500, () => 15));
    const call = judgeCall(up, down, G711, FIXED(60));
    expect(call?.worse).toBe("up");
    expect(call?.up.rating).toBeLessThan(call?.down.rating ?? 0);
    expect(call?.half_round_trip_ms).toBeCloseTo(20, 6);
    // 20 ms each way, 60 ms buffer, 20.125 ms codec, 3.75 ms concealment.
    expect(call?.down.delay_ms).toBeCloseTo(103.875, 6);
    expect(judgeCall(down, up, G711, FIXED(60))?.worse).toBe("down");
  });

  test("ways there and back that take less than no time together give no call", () => {
    const judged = (up: number, down: number) =>
      judgeCall(stream(times(100, () => up)), stream(times(100, () => down)), G711, FIXED(60));
    expect(judged(-100, 50)).toBeUndefined();
    expect(judged(100, -106)).toBeUndefined();
    // What whole milliseconds take off a round trip of nearly nothing is no contradiction.
    expect(judged(-1, 0.05)?.half_round_trip_ms).toBe(0);
  });

  test("by round trips either direction is judged with all of the variation, and half of the time", () => {
    const around = stream(times(300, (i) => (i % 10 === 0 ? 100 : 40)));
    const call = judgeCall(around, around, G711, FIXED(40), "round_trip");
    expect(call).toMatchObject({ timing: "round_trip", half_round_trip_ms: 20 });
    for (const way of ["up", "down"] as const) {
      expect(call?.[way]).toMatchObject({ jitter_ms: undefined, playout: { late: 30, loss_pct: 0 } });
    }
  });

  test("a clock half a second off changes no figure", () => {
    const random = generator(3);
    const base = times(500, () => [20 + random() * 30, 15 + random() * 5] as const);
    const judged = (offset: number) =>
      judgeCall(stream(base.map(([up]) => up + offset)), stream(base.map(([, down]) => down - offset)), G711, ADAPTIVE);
    const [none, off] = [judged(0), judged(500)];
    expect(off?.up.mos).toBeCloseTo(none?.up.mos ?? 0, 6);
    expect(off?.down.delay_ms).toBeCloseTo(none?.down.delay_ms ?? 0, 6);
    expect(off?.up.jitter_ms).toBeCloseTo(none?.up.jitter_ms ?? 0, 6);
  });
});
