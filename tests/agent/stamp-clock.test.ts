// What time daemons say about the clock, the run's own wall clock, and what hostile bytes may do to a session.
import { expect, test } from "vitest";
import { parseChronyTracking, parseNtpq, parseTimedatectl } from "../../agent/parsers/clock-sync.ts";
import { estimateOf, startWallClock } from "../../agent/stamp/clock.ts";
import { Ledger } from "../../agent/stamp/ledger.ts";
import { encodeSender } from "../../agent/stamp/packet.ts";
import { generator, mutate } from "./helpers/mutations.ts";
import { replyTo } from "./helpers/stamp-reflector.ts";

// Fields as chronyc(1) names them for "tracking", in the order of its -c format.
const CHRONY =
  "CB00710F,203.0.113.15,3,1505493700.123456789,0.000006523,-0.000006747,0.000035822,3.225,0.000,0.129,0.013639022,0.001100737,64.2,Normal\n";

test("chrony: the bound of its manual, |system time| + root dispersion + half the root delay", () => {
  const state = parseChronyTracking(CHRONY);
  expect(state).toEqual({ source: "chrony", error_ms: expect.closeTo(0.006523 + 1.100737 + 13.639022 / 2, 6) });
  expect(parseChronyTracking(CHRONY.replace("Normal", "Insert second"))).not.toBeNull();
  for (const bad of [
    CHRONY.replace("Normal", "Not synchronised"),
    CHRONY.replace(",3,", ",0,"),
    CHRONY.replace(",3,", ",16,"),
    CHRONY.replace("0.013639022", "nan"),
    CHRONY.replace("0.001100737", ""),
    CHRONY.replace(",64.2", ""),
    "506 Cannot talk to daemon\n",
    "",
  ]) {
    expect(parseChronyTracking(bad), bad).toBeNull();
  }
});

test("systemd: synchronised says nothing about how well", () => {
  expect(parseTimedatectl("NTPSynchronized=yes\n")).toEqual({ source: "systemd", error_ms: 400 });
  for (const text of ["NTPSynchronized=no\n", "", "NTP=yes\n", "XNTPSynchronized=yes"]) expect(parseTimedatectl(text)).toBeNull();
});

test("ntpd: offset, root dispersion and half the root delay", () => {
  // System variables as ntpq's manual lists them.
  const text = `associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,
version="ntpd 4.2.8p15", processor="x86_64", system="Linux/5.10", leap=00,
stratum=2, precision=-24, rootdelay=5.426, rootdisp=31.207, refid=192.0.2.7,
peer=12345, tc=6, mintc=3, offset=-0.250, frequency=-7.411, sys_jitter=0.101`;
  expect(parseNtpq(text)).toEqual({ source: "ntpd", error_ms: expect.closeTo(0.25 + 31.207 + 2.713, 6) });
  expect(parseNtpq(text.replace("leap=00", "leap=11"))).toBeNull();
  expect(parseNtpq(text.replace("stratum=2", "stratum=16"))).toBeNull();
  expect(parseNtpq(text.replace("rootdisp=31.207, ", ""))).toBeNull();
  expect(parseNtpq("ntpq: read: Connection refused")).toBeNull();
});

test("damaged words of a daemon never throw, and never make a bound that is none", () => {
  const random = generator(7);
  const others = [Buffer.from(CHRONY), Buffer.from("NTPSynchronized=yes\n")];
  for (let i = 0; i < 3000; i++) {
    const text = mutate(Buffer.from(CHRONY), random, others).toString("utf8");
    for (const state of [parseChronyTracking(text), parseNtpq(text), parseTimedatectl(text)]) {
      if (state === null) continue;
      expect(Number.isFinite(state.error_ms) && state.error_ms >= 0, text).toBe(true);
    }
  }
});

test("S is set only where a daemon vouches for the clock", () => {
  expect(estimateOf(null)).toEqual({ synchronised: false, ptp: false, error_ms: null });
  expect(estimateOf({ source: "chrony", error_ms: 2 })).toEqual({ synchronised: true, ptp: false, error_ms: 2 });
});

test("the wall clock is the system's, runs forward, and has not been set", () => {
  const clock = startWallClock();
  let last = 0;
  for (let i = 0; i < 1000; i++) {
    const now = clock.now();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
  const before = Date.now();
  const told = clock.now();
  // Date.now() is cut to whole milliseconds.
  expect(told).toBeGreaterThanOrEqual(before - clock.error_ms - 0.1);
  expect(told).toBeLessThan(Date.now() + 1.1 + clock.error_ms);
  expect(clock.stepped()).toBe(0);
});

test("damaged answers neither throw nor count, unless what was damaged says nothing", () => {
  const ESTIMATE = { synchronised: false, ptp: false, error_ms: null };
  const random = generator(862);
  let accepted = 0;
  for (let i = 0; i < 3000; i++) {
    const ledger = new Ledger({ packet_bytes: 64, timeout_ms: 1000, estimate: ESTIMATE, now: () => 1_700_000_000_000.5 });
    const { exchange, stamp } = ledger.next("stream", 0);
    const reply = replyTo(stamp(), { sequence: 5, received_ms: 1_700_000_000_001 });
    const damaged = mutate(reply, random, [encodeSender({ sequence: 1, sent_ms: 1, estimate: ESTIMATE, ssid: 0 }, 64)]);
    const intact = damaged.length >= 44 && damaged.subarray(24, 36).equals(reply.subarray(24, 36));
    const answered = ledger.receive(damaged, 1_700_000_000_010);
    if (answered !== undefined) accepted += 1;
    // Two timestamps a fraction of a microsecond apart read alike; nothing else may pass.
    if (!intact && answered !== undefined) expect(damaged.subarray(24, 34).equals(reply.subarray(24, 34))).toBe(true);
    if (answered === undefined) expect(exchange.reply).toBeUndefined();
    expect(ledger.answered + Object.values(ledger.rejected).reduce((sum, count) => sum + count, 0)).toBe(1);
  }
  expect(accepted).toBeGreaterThan(100);
});
