// The UDP reflector on real sockets: whom it answers, with what, how often, and how long it remembers.
import { createSocket } from "node:dgram";
import { expect, test, vi } from "vitest";
import { HostClock } from "../../agent/reflector/clock.ts";
import { Keyring } from "../../agent/reflector/keyring.ts";
import { UDP_LIMITS } from "../../agent/reflector/limits.ts";
import { ProvedSenders } from "../../agent/reflector/proved-senders.ts";
import { UdpReflector } from "../../agent/reflector/udp.ts";
import { SessionTable } from "../../agent/reflector/udp-sessions.ts";
import { newSecret } from "../../agent/stamp/key.ts";
import { sealMac } from "../../agent/stamp/packet.ts";
import { generator, mutate } from "./helpers/mutations.ts";
import { ALWAYS, question, read, Sender, sessionFor, startReflector } from "./helpers/reflector.ts";

const HOUR_MS = 3_600_000;

/** Sends packets that must get nothing, then one that must be answered, and checks that only this one was. */
async function expectSilence(port: number, bad: readonly Buffer[], good: Buffer): Promise<void> {
  const sender = await Sender.open(port);
  for (const packet of bad) await sender.send(packet);
  await sender.ask(good);
  expect(sender.answers).toHaveLength(1);
}

test("a holder of the key gets both of the reflector's times, its own number and its own packet's fields", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const before = performance.timeOrigin + performance.now();
  const answer = read(await sender.ask(question(41, session)), session);
  const after = performance.timeOrigin + performance.now();
  expect(answer).toMatchObject({ sequence: 0, ssid: 77, sender: { sequence: 41, ttl: null } });
  expect(answer.received_ms).toBeGreaterThanOrEqual(before - 0.01);
  expect(answer.sent_ms).toBeGreaterThanOrEqual(answer.received_ms);
  expect(answer.sent_ms).toBeLessThanOrEqual(after + 0.01);
  expect(reflector.stats?.udp).toMatchObject({ sessions: 1, answered: 1 });
});

test("wrong key, no key, foreign session, truncated and changed packets get nothing at all, and are counted", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const good = question(0, session, 172);
  const bad = [
    question(0, sessionFor(newSecret())),
    question(0),
    question(0, undefined, 112, 77),
    question(0, undefined, 1400, 77),
    // The right key under another sender's name, and under none.
    question(0, { ...session, ssid: 78 }),
    question(0, sessionFor(secret, 0)),
    Buffer.alloc(0),
    Buffer.alloc(112),
    ...[1, 43, 44, 111].map((length) => good.subarray(0, length)),
  ];
  await expectSilence(port, bad, good);
  const refused = reflector.stats?.udp.refused;
  expect((refused?.short ?? 0) + (refused?.unauthenticated ?? 0)).toBe(bad.length);
  expect(reflector.stats?.udp.sessions).toBe(1);
});

test("every changed bit of the covered part and of the HMAC means silence", async () => {
  const { port, secret } = await startReflector();
  const session = sessionFor(secret);
  const good = question(0, session);
  const bad = Array.from({ length: 112 }, (_, at) => {
    const copy = Buffer.from(good);
    copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
    return copy;
  });
  await expectSilence(port, bad, good);
});

test("damaged packets of every kind neither get an answer nor stop the reflector", async () => {
  const { port, secret } = await startReflector();
  const session = sessionFor(secret);
  const good = question(0, session, 172);
  const random = generator(8762);
  const bad = Array.from({ length: 400 }, () => mutate(good, random, [question(1, session)])).filter(
    (packet) => !packet.subarray(0, 112).equals(good.subarray(0, 112)) && packet.length <= 1400,
  );
  expect(bad.length).toBeGreaterThan(200);
  await expectSilence(port, bad, good);
});

test("a secret holds in its time and two minutes around it, and not beyond", async () => {
  const now = Date.now();
  const [past, justPast, soon, future] = [newSecret(), newSecret(), newSecret(), newSecret()] as const;
  const secrets = [
    { from: now - 2 * HOUR_MS, until: now - 3 * 60_000, secret: past },
    { from: now - 2 * HOUR_MS, until: now - 60_000, secret: justPast },
    { from: now + 60_000, until: now + HOUR_MS, secret: soon },
    { from: now + 3 * 60_000, until: now + HOUR_MS, secret: future },
  ];
  const { port } = await startReflector({ secrets: () => secrets });
  const refused = [past, future].map((secret) => question(0, sessionFor(secret)));
  await expectSilence(port, refused, question(0, sessionFor(justPast)));
  await expectSilence(port, refused, question(0, sessionFor(soon)));
});

test("a secret that is withdrawn ends the session that runs on it", async () => {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  try {
    const [first, second] = [newSecret(), newSecret()];
    let secrets = [{ ...ALWAYS, secret: first }];
    const { port, reflector } = await startReflector({ secrets: () => secrets });
    const sender = await Sender.open(port);
    await sender.ask(question(0, sessionFor(first)));
    secrets = [{ ...ALWAYS, secret: second }];
    vi.advanceTimersByTime(1100);
    expect(reflector.sessions()).toHaveLength(0);
    await expectSilence(port, [question(1, sessionFor(first))], question(0, sessionFor(second)));
    // The same sender goes on with the new key under its old name, port and address.
    secrets = [{ ...ALWAYS, secret: first }, ...secrets];
    expect(read(await sender.ask(question(5, sessionFor(first))), sessionFor(first)).sequence).toBe(0);
    expect(read(await sender.ask(question(6, sessionFor(second))), sessionFor(second)).sequence).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("an answer is exactly as long as its question, whatever follows the base packet, and repeats none of that", async () => {
  const { port, secret } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  for (const length of [112, 113, 127, 128, 172, 500, 1000, 1400, 1472, 4000, 9000]) {
    const packet = question(0, session, length).fill(0xee, 112);
    const answer = await sender.ask(packet);
    expect(answer).toHaveLength(length);
    expect(answer.subarray(112)).toEqual(Buffer.alloc(length - 112));
  }
});

test("numbers run per session: another port, another sender or another identifier starts at 0", async () => {
  const { port, secret, reflector } = await startReflector();
  const [one, two] = [await Sender.open(port), await Sender.open(port)];
  const [a, b] = [sessionFor(secret, 1), sessionFor(secret, 2)];
  const numbers = [];
  for (const [sender, session] of [
    [one, a],
    [one, a],
    [two, a],
    [one, b],
    [one, a],
    [two, a],
    [one, b],
  ] as const) {
    numbers.push(read(await sender.ask(question(900, session)), session).sequence);
  }
  expect(numbers).toEqual([0, 1, 0, 0, 2, 1, 1]);
  expect(reflector.sessions()).toHaveLength(3);
});

test("a gap in the sender's numbers is a gap here only, so that the direction of a loss shows", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const seen = [];
  for (const sequence of [0, 1, 4, 5, 5, 3]) {
    const { sender: told, sequence: own } = read(await sender.ask(question(sequence, session)), session);
    seen.push([told.sequence, own]);
  }
  expect(seen).toEqual([
    [0, 0],
    [1, 1],
    [4, 2],
    [5, 3],
    [5, 4],
    [3, 5],
  ]);
  expect(reflector.sessions()[0]).toMatchObject({ answered: 6, refused: 0 });
});

test("2000 packets at once get no more answers than the session's rate allows, and the rest is counted", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const start = performance.now();
  for (let from = 0; from < 2000; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => sender.send(question(from + i, session))));
  }
  await vi.waitFor(() => expect(reflector.stats?.udp.refused.rate).toBeGreaterThan(0));
  // Another sender is not held up by it.
  const other = await Sender.open(port);
  await other.ask(question(0, sessionFor(secret, 5)));
  const seconds = (performance.now() - start) / 1000;
  const answered = reflector.sessions().find(({ name }) => name.ssid === session.ssid)?.answered ?? 0;
  expect(answered).toBeGreaterThanOrEqual(100);
  expect(answered).toBeLessThanOrEqual(UDP_LIMITS.sessionBurst + UDP_LIMITS.sessionRate * seconds + 1);
  await sender.until(answered);
});

test("a sender at the shortest interval there is, 5 ms, is never held back", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const start = performance.now();
  for (let sequence = 0; sequence < 200; sequence++) {
    while (performance.now() < start + sequence * 5) await new Promise((resolve) => setTimeout(resolve, 1));
    await sender.send(question(sequence, session));
  }
  await sender.until(200);
  expect(reflector.stats?.udp.refused.rate).toBe(0);
});

test("packets nobody vouches for cost a bounded number of HMACs; a session that runs is answered through the flood", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  await sender.ask(question(0, session));
  const flood = await Sender.open(port);
  const start = performance.now();
  let sent = 0;
  while (sent < 4000) {
    const packets = Array.from({ length: 50 }, (_, i) => question(i, sessionFor(newSecret(), 1000 + sent + i)));
    await Promise.all(packets.map((packet) => flood.send(packet)));
    sent += 50;
  }
  // What the kernel has no room for is lost before anybody can look at it; a sender's next packet comes soon.
  await vi.waitFor(async () => {
    await sender.send(question(1, session));
    expect(sender.answers.length).toBeGreaterThan(1);
  });
  const seconds = (performance.now() - start) / 1000;
  const refused = reflector.stats?.udp.refused;
  expect(refused?.unauthenticated).toBeLessThanOrEqual(UDP_LIMITS.strangerBurst + UDP_LIMITS.strangerRate * seconds);
  expect(flood.answers).toHaveLength(0);
  expect(reflector.sessions()).toHaveLength(1);
});

test("a flood of strangers costs a sender that proved itself before not one packet of a new session", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const { port, secret, reflector } = await startReflector();
    const running = await Sender.open(port);
    const flood = await Sender.open(port);
    for (let sent = 0; (reflector.stats?.udp.refused.rate ?? 0) === 0; sent += 200) {
      if (sent > 5000) throw new Error("strangers are never refused");
      await Promise.all(Array.from({ length: 200 }, (_, i) => flood.send(question(i, sessionFor(newSecret(), 1000 + sent + i)))));
      // Answered when the reflector is through with them.
      await running.ask(question(sent, sessionFor(secret, 77)));
    }
    // Time stands still, so that strangers have no try left; a name nobody proved shares that.
    const known = await Sender.open(port);
    await known.send(question(0, sessionFor(secret, 78)));
    expect(read(await known.ask(question(0, sessionFor(secret, 77))), sessionFor(secret, 77)).sequence).toBe(0);
    expect(known.answers).toHaveLength(1);
    // One who knows such a name has that name's tries, not all there are.
    const named = await Sender.open(port);
    const before = reflector.stats?.udp.refused.unauthenticated ?? 0;
    for (let i = 0; i < 300; i++) await named.send(question(i, sessionFor(newSecret(), 77)));
    await known.ask(question(1, sessionFor(secret, 77)));
    const guessed = (reflector.stats?.udp.refused.unauthenticated ?? 0) - before;
    expect(guessed).toBeGreaterThan(0);
    expect(guessed).toBeLessThanOrEqual(UDP_LIMITS.provedBurst);
  } finally {
    vi.useRealTimers();
  }
});

test("names that were proved are remembered, so many of them, and a proof fills nothing up", () => {
  const senders = new ProvedSenders();
  expect(senders.take(1, 0, 1)).toBe(false);
  senders.remember(1, 0);
  expect(senders.take(1, 0, UDP_LIMITS.provedBurst)).toBe(true);
  senders.remember(1, 0);
  expect(senders.take(1, 0, 1)).toBe(false);
  expect(senders.take(1, 1000, UDP_LIMITS.provedRate)).toBe(true);
  for (let ssid = 2; ssid <= UDP_LIMITS.proved; ssid++) senders.remember(ssid, 1000);
  senders.remember(1, 1000);
  senders.remember(60_000, 1000);
  expect([1, 2, 3, 60_000].map((ssid) => senders.take(ssid, 9000, 1))).toEqual([true, false, true, true]);
});

test("forged packets in the name of a session that runs do not use up its answers", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  await sender.ask(question(0, session));
  const forged = question(1, sessionFor(newSecret(), session.ssid));
  for (let i = 0; i < 300; i++) await sender.send(forged);
  expect(read(await sender.ask(question(1, session)), session).sequence).toBe(1);
  expect(reflector.stats?.udp.refused.unauthenticated).toBe(300);
});

test("sessions are bounded for one sender; those that run go on, new ones are refused", async () => {
  const { port, secret, reflector } = await startReflector();
  const greedy = await Promise.all(Array.from({ length: UDP_LIMITS.sessionsPerSsid }, () => Sender.open(port)));
  for (const sender of greedy) await sender.ask(question(0, sessionFor(secret, 9)));
  await expectSilence(port, [question(0, sessionFor(secret, 9))], question(0, sessionFor(secret, 10)));
  const first = greedy[0] ?? (await Sender.open(port));
  expect(read(await first.ask(question(1, sessionFor(secret, 9))), sessionFor(secret, 9)).sequence).toBe(1);
  expect(reflector.stats?.udp.refused.full).toBe(1);
  expect(reflector.sessions()).toHaveLength(UDP_LIMITS.sessionsPerSsid + 1);
});

test("200 senders of a mesh with four runs a minute each, and one with two runs a second, all get their sessions", () => {
  const table = new SessionTable();
  const held = { secret: { ...ALWAYS, secret: newSecret() }, key: newSecret() };
  const begin = (ssid: number, port: number) => table.open({ address: "192.0.2.1", port, ssid }, held, 0, 0);
  for (let port = 1; port <= 4; port++) for (let ssid = 1; ssid <= 200; ssid++) expect(begin(ssid, port)).toBeDefined();
  for (let port = 1; port <= 120; port++) expect(begin(1000, port)).toBeDefined();
});

test("sessions are bounded in all; the place of one that ended is free, for its sender too", () => {
  const table = new SessionTable();
  const held = { secret: { ...ALWAYS, secret: newSecret() }, key: newSecret() };
  const begin = (ssid: number, port: number) => table.open({ address: "192.0.2.1", port, ssid }, held, 0, 0);
  for (let port = 1; port <= UDP_LIMITS.sessionsPerSsid; port++) expect(begin(1, port)).toBeDefined();
  expect(begin(1, 60_000)).toBeUndefined();
  for (let ssid = 2; table.size < UDP_LIMITS.sessions; ssid++) expect(begin(ssid, 1)).toBeDefined();
  expect(begin(50_000, 1)).toBeUndefined();
  expect(table.end(({ name }) => name.ssid === 1 && name.port <= 2)).toHaveLength(2);
  expect(begin(1, 60_000)).toBeDefined();
  expect(begin(50_000, 1)).toBeDefined();
  expect(begin(50_001, 1)).toBeUndefined();
});

test("a silent session ends after a minute and its place is free again", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "performance"] });
  try {
    const ended: number[] = [];
    const { port, secret, reflector } = await startReflector({
      watch: { sessionEnded: ({ name }) => ended.push(name.ssid) },
    });
    const sender = await Sender.open(port);
    await sender.ask(question(0, sessionFor(secret, 1)));
    vi.advanceTimersByTime(40_000);
    await sender.ask(question(0, sessionFor(secret, 2)));
    vi.advanceTimersByTime(30_000);
    expect(ended).toEqual([1]);
    expect(reflector.sessions().map(({ name }) => name.ssid)).toEqual([2]);
    expect(read(await sender.ask(question(7, sessionFor(secret, 1))), sessionFor(secret, 1)).sequence).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("where more than half of the places are taken, a session ends after a quarter of a minute", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "performance"] });
  try {
    const { port, secret, reflector } = await startReflector();
    const sender = await Sender.open(port);
    for (let begun = 0; begun <= UDP_LIMITS.sessions / 2; begun++) {
      // Strangers' proofs are looked at at a rate.
      if (begun % 500 === 499) vi.advanceTimersByTime(1000);
      await sender.ask(question(0, sessionFor(secret, 1 + begun)));
    }
    vi.advanceTimersByTime(12_000);
    expect(reflector.sessions()).toHaveLength(UDP_LIMITS.sessions / 2 + 1);
    vi.advanceTimersByTime(5000);
    expect(reflector.sessions().length).toBeLessThanOrEqual(UDP_LIMITS.sessions / 2);
  } finally {
    vi.useRealTimers();
  }
});

test("a packet recorded and sent again is answered within its session's rate; an answer sent back is not", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const packet = question(3, session);
  const first = await sender.ask(packet);
  const again = await sender.ask(packet);
  expect([first, again].map((answer) => read(answer, session).sequence)).toEqual([0, 1]);
  // A valid HMAC, but two reflectors must not be made to talk to each other, nor one to itself.
  await expectSilence(port, [first, again], question(4, session));
  expect(reflector.stats?.udp.refused.reflection).toBe(2);
});

test("open mode answers plain STAMP of 44 bytes and holders of a key, but no reflector's answer", async () => {
  const { port, secret, reflector } = await startReflector({ open: true });
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  for (const length of [44, 45, 100, 112, 172, 1400]) {
    const answer = await sender.ask(question(6, undefined, length));
    expect(answer).toHaveLength(length);
    expect(read(answer).sender.sequence).toBe(6);
  }
  expect(read(await sender.ask(question(0, session)), session).sequence).toBe(0);
  await expectSilence(port, [sender.answers[0] ?? Buffer.alloc(0), Buffer.alloc(43)], question(0));
  expect(reflector.stats?.udp.refused).toMatchObject({ reflection: 1, short: 1 });
});

test("a forged source port of 0, where nothing can be sent to, does not end the reflector", async () => {
  const socket = createSocket("udp4");
  const secret = newSecret();
  const keyring = new Keyring(() => [{ ...ALWAYS, secret }]);
  const ignore = () => {};
  const reflector = new UdpReflector({
    sockets: [socket],
    keyring,
    clock: new HostClock(),
    open: false,
    onBegin: ignore,
    onEnd: ignore,
  });
  try {
    socket.emit("message", question(0, sessionFor(secret)), { address: "127.0.0.1", port: 0, family: "IPv4", size: 112 });
    expect(reflector.stats).toMatchObject({ sessions: 0, answered: 0, refused: { short: 1 } });
  } finally {
    reflector.close();
    socket.close();
  }
});

test("one socket answers IPv4 and IPv6 where the host has both", async () => {
  const { port, secret } = await startReflector({ host: "::" });
  const session = sessionFor(secret);
  for (const host of ["127.0.0.1", "::1"]) {
    const sender = await Sender.open(port, host);
    expect(read(await sender.ask(question(0, session)), session).sequence).toBe(0);
  }
});

test("the clock that is given is the one in the answers, with what it says of itself", async () => {
  const clock = { now: () => 1_780_000_000_000, estimate: () => ({ synchronised: true, ptp: false, error_ms: 2 }) };
  const { port, secret } = await startReflector({ clock });
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  const answer = read(await sender.ask(question(0, session)), session);
  expect(answer).toMatchObject({ received_ms: 1_780_000_000_000, sent_ms: 1_780_000_000_000 });
  expect(answer.estimate.synchronised).toBe(true);
  expect(answer.estimate.error_ms).toBeCloseTo(2, 1);
});

test("a clock that was set is followed once nobody measures, and where somebody always does after ten minutes", () => {
  const real = { now: performance.now.bind(performance), epoch: Date.now.bind(Date) };
  let [passed, set] = [0, 0];
  const spies = [
    vi.spyOn(performance, "now").mockImplementation(() => real.now() + passed),
    vi.spyOn(Date, "now").mockImplementation(() => real.epoch() + passed + set),
  ];
  try {
    const clock = new HostClock();
    const off = () => Math.abs(clock.now() - Date.now());
    expect(off()).toBeLessThan(20);
    for (const sessions of [0, 3]) {
      set += 3_600_000;
      clock.attend(3);
      passed += 300_000;
      // Runs that were there keep the clock they began with, and nobody vouches for it.
      clock.attend(3);
      expect(off()).toBeGreaterThan(3_599_000);
      expect(clock.estimate()).toMatchObject({ synchronised: false });
      if (sessions > 0) passed += 301_000;
      clock.attend(sessions);
      expect(off()).toBeLessThan(20);
    }
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
});

test("a taken port is named with what to do, or gives way to another for UDP and TCP where any will do", async () => {
  const { port } = await startReflector();
  await expect(startReflector({ port })).rejects.toThrow(new RegExp(`port ${port} of 127.0.0.1 is in use.*--port`));
  await expect(startReflector({ host: "192.0.2.1", port })).rejects.toThrow(/--host/);
  const other = await startReflector({ port, anyPort: true });
  expect(other.port).not.toBe(port);
  const answer = await fetch(`http://127.0.0.1:${other.port}/__down?bytes=0`);
  expect(answer.status).toBe(401);
  await (await Sender.open(other.port)).ask(question(0, sessionFor(other.secret)));
});

test("after the end nothing is answered, and the counts stay", async () => {
  const { port, secret, reflector } = await startReflector();
  const session = sessionFor(secret);
  const sender = await Sender.open(port);
  await sender.ask(question(0, session));
  await reflector.stop();
  await reflector.stop();
  expect(reflector.address).toBeUndefined();
  expect(reflector.stats?.udp.answered).toBe(1);
  const next = await startReflector({ port });
  const packet = question(0, sessionFor(next.secret));
  sealMac(packet, sessionFor(next.secret).key);
  await sender.ask(packet);
  expect(sender.answers).toHaveLength(2);
});
