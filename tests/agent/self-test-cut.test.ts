// The baseline self-test on a real host of its own that loses its line: cables are pulled, runs end meanwhile and afterwards.
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing, type Office, RESOLVER } from "./helpers/office.ts";
import { DEAD, FINE, HALF, judged, NO_TOOLS, newOffice, SERVER, sampled, start, world } from "./helpers/self-test.ts";

/** While cut off a look begins every 2.5 s. */
const BACK_MS = 3500;

const why = missing();

describe.skipIf(why !== undefined)(`an office without a line (${why ?? "root, Linux"})`, () => {
  let office: Office;
  beforeAll(() => {
    office = newOffice();
  });
  afterAll(() => office.close());

  test("a silent line: the run is held until that is known, says so, and the host says how long it lasted", async () => {
    const subject = await start(office);
    expect((await sampled(subject)).flags).toEqual([]);
    await judged(subject, FINE);
    const cut = Date.now();
    office.unplug("gw");
    const { result, held_ms } = await judged(subject, DEAD, 300);
    expect(held_ms).toBeLessThan(2500);
    expect(result).toMatchObject({
      status: "failed",
      error: { code: "cut_off", source: "agent" },
      metrics: { ping_sent: null, ping_received: null, ping_loss_pct: null, ping_rtt_median: null },
      reasons: { ping_sent: "no_route", ping_rtt_median: "no_route" },
      flags: ["cut_off"],
      detail: {
        before: { status: "failed", error: DEAD.error, metrics: { ping_sent: 5, ping_received: 0, ping_loss_pct: 100 } },
      },
    });
    const during = await sampled(subject);
    expect(during.flags).toEqual(["cut_off"]);
    expect(during.detail.self_test).toMatchObject({ cut_off: true, gateway: { reached: false }, edge: { reached: false } });
    expect(Math.abs((during.detail.self_test?.since ?? 0) - cut)).toBeLessThan(1000);
    // Whatever fails while it lasts is known for what it is at once.
    expect((await judged(subject)).held_ms).toBeLessThan(100);
    const back = Date.now();
    office.plug();
    await subject.line(({ changed }) => changed === false);
    expect(Date.now() - back).toBeLessThan(BACK_MS);
    const after = await sampled(subject);
    expect(after.detail.self_test).toMatchObject({ cut_off: false, since: null, gateway: { reached: true } });
    expect(after.flags).toEqual(["cut_off"]);
    const told_ms = 1000 * ((during.metrics.agent_cut_off_s ?? 0) + (after.metrics.agent_cut_off_s ?? 0));
    expect(Math.abs(told_ms - (back - cut))).toBeLessThan(BACK_MS);
    expect((await sampled(subject)).metrics.agent_cut_off_s).toBe(0);
    expect((await judged(subject)).result).toMatchObject(DEAD);
    const logged = subject.lines.filter(({ log }) => log !== undefined).map(({ log }) => (log as unknown[])[1]);
    expect(logged).toEqual([
      "cut off: neither gateway nor resolver nor server answers",
      "no longer cut off: something answers again",
    ]);
    await subject.end();
  });

  test("a pulled cable, no resolver configured: nobody left to ask but the server, which is enough", async () => {
    office.resolvers();
    const subject = await start(office, SERVER, "yes", NO_TOOLS);
    office.unplug();
    const [one, two] = await Promise.all([judged(subject), judged(subject, { ...DEAD, type: "http" })]);
    expect([one.result.error?.code, two.result.error?.code]).toEqual(["cut_off", "cut_off"]);
    const { detail, reasons } = await sampled(subject);
    expect(detail.self_test).toMatchObject({ gateway: { reached: null }, resolver: { reached: null }, edge: { reached: false } });
    expect(reasons).toEqual({
      self_gateway_rtt_ms: "not_applicable",
      self_resolver_ms: "not_applicable",
      self_edge_ms: "no_route",
    });
    office.plug();
    office.resolvers(RESOLVER);
    await subject.line(({ changed }) => changed === false);
    await subject.end();
  });

  test("a run that lost its second half keeps what came back and loses what counts the rest", async () => {
    const subject = await start(office);
    office.unplug();
    const { result } = await judged(subject, HALF);
    expect(result).toMatchObject({
      status: "partial",
      error: { code: "cut_off", source: "agent" },
      metrics: { ping_sent: 5, ping_received: null, ping_loss_pct: null, ping_rtt_median: 4.2 },
      reasons: { ping_received: "no_route", ping_loss_pct: "no_route" },
      flags: ["cut_off"],
      detail: { before: { status: "partial", metrics: { ping_received: 2, ping_loss_pct: 60 } } },
    });
    office.plug();
    await subject.line(({ changed }) => changed === false);
    await subject.end();
  });

  test("a line that is back before the run ends was seen to be gone while it ran", async () => {
    const subject = await start(office);
    office.unplug();
    const run = judged(subject, DEAD, 6500);
    await subject.line(({ changed }) => changed === true);
    office.plug();
    await subject.line(({ changed }) => changed === false);
    expect((await run).result.error?.code).toBe("cut_off");
    await subject.end();
  });

  test("what comes from the server ends it at once", async () => {
    const subject = await start(office);
    office.unplug();
    await judged(subject);
    await subject.ask({ op: "heard" });
    expect(subject.lines.filter(({ changed }) => changed !== undefined)).toMatchObject([{ changed: true }, { changed: false }]);
    office.plug();
    await pause(100);
    await subject.end();
  });

  test("a resolver of its own that answers from its cache is no reach; the one behind it is asked", async () => {
    await world(office, "host", "127.0.0.53", "127.0.0.1", "2");
    office.resolvers("127.0.0.53");
    office.behindStub(RESOLVER);
    const subject = await start(office);
    const before = (await sampled(subject)).detail.self_test;
    expect(before?.resolver).toMatchObject({ target: RESOLVER, reached: true, how: "refuses UDP port 53" });
    office.unplug("gw");
    expect((await judged(subject)).result.error?.code).toBe("cut_off");
    office.plug();
    await subject.line(({ changed }) => changed === false);
    await subject.end();
  });

  test("a server on the host itself is reached while it listens, and not when nothing does", async () => {
    // Listens since the test before.
    const subject = await start(office, "http://127.0.0.1:8787");
    const dead = await start(office, "http://127.0.0.1:8788");
    office.unplug();
    expect((await judged(subject)).result).toMatchObject(DEAD);
    expect((await judged(dead)).result.error?.code).toBe("cut_off");
    office.plug();
    await Promise.all([subject.end(), dead.end()]);
  });
});
