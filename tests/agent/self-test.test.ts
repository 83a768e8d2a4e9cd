// The baseline self-test on a real host of its own: cables are pulled, gateways fall silent, resolvers lie.
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SelfTest as Reading } from "#contract/host-detail";
import type { Measurement } from "#contract/result";
import { EDGE, GATEWAY, missing, Office, RESOLVER, type Subject, TARGET } from "./helpers/office.ts";

const SUBJECT = fileURLToPath(new URL("helpers/self-test-subject.ts", import.meta.url));
const WORLD = fileURLToPath(new URL("helpers/office-world.ts", import.meta.url));
const SERVER = `http://${EDGE}:8787`;
/** Without a program to ask: what a look finds out, it finds out by itself. */
const NO_TOOLS = { STREAMSWARM_TOOL_PATH: "/nonexistent" };
/** While cut off a look begins every 2.5 s. */
const BACK_MS = 3500;

interface Sample {
  readonly metrics: Record<string, number | null>;
  readonly reasons: Record<string, string>;
  readonly detail: { readonly self_test?: Reading };
  readonly flags: readonly string[];
}
interface Judged {
  readonly result: Measurement;
  readonly held_ms: number;
}

const DEAD: Omit<Measurement, "started_at" | "duration_ms"> = {
  type: "ping",
  destination: TARGET,
  address: TARGET,
  status: "failed",
  error: { code: "no_reply", source: "network", message: "none of 5 echo requests was answered" },
  metrics: { ping_sent: 5, ping_received: 0, ping_loss_pct: 100, ping_rtt_median: null },
  reasons: { ping_rtt_median: "timeout" },
  detail: { rtts: [null, null, null, null, null] },
  flags: [],
};
const HALF: typeof DEAD = {
  ...DEAD,
  status: "partial",
  error: null,
  metrics: { ping_sent: 5, ping_received: 2, ping_loss_pct: 60, ping_rtt_median: 4.2 },
  reasons: {},
};
const FINE: typeof DEAD = {
  ...HALF,
  status: "ok",
  metrics: { ping_sent: 5, ping_received: 5, ping_loss_pct: 0, ping_rtt_median: 4 },
};

const sampled = (subject: Subject) => subject.ask<Sample>({ op: "sample" });
const judged = (subject: Subject, result: typeof DEAD = DEAD, lasts = 100) => subject.ask<Judged>({ op: "judge", result, lasts });

let offices = 0;
function newOffice(): Office {
  offices += 1;
  return new Office(`st${process.pid.toString(36)}${offices}`);
}

async function start(office: Office, server = SERVER, allowed = "yes", env: Record<string, string> = {}): Promise<Subject> {
  const subject = office.start("host", SUBJECT, [server, allowed], env);
  await subject.line(({ ready }) => ready === true);
  return subject;
}

async function world(office: Office, place: "host" | "gw" = "gw", ...args: readonly string[]): Promise<void> {
  const subject = office.start(place, WORLD, args);
  await subject.line(({ ready }) => ready === true);
}

const why = missing();

describe.skipIf(why !== undefined)(`an office with a line (${why ?? "root, Linux"})`, () => {
  let office: Office;
  beforeAll(async () => {
    office = newOffice();
    await world(office);
  });
  afterAll(() => office.close());

  test("reaches all three, timed, without starting a program", async () => {
    const subject = await start(office, SERVER, "yes", NO_TOOLS);
    const { metrics, reasons, detail, flags } = await sampled(subject);
    expect(detail.self_test).toMatchObject({
      gateway: { target: GATEWAY, reached: true, how: "refuses TCP port 53" },
      resolver: { target: RESOLVER, reached: true, how: "answers NODATA" },
      edge: { target: EDGE, reached: true, how: "accepts TCP port 8787" },
      cut_off: false,
      since: null,
    });
    expect(reasons).toEqual({});
    expect(flags).toEqual([]);
    expect(metrics.agent_cut_off_s).toBe(0);
    for (const name of ["self_gateway_rtt_ms", "self_resolver_ms", "self_edge_ms"]) {
      expect(metrics[name]).toBeGreaterThan(0);
      expect(metrics[name]).toBeLessThan(500);
    }
    await subject.end();
  });

  test("leaves what a dead target's run said as it was, and holds it for a moment only", async () => {
    const subject = await start(office);
    const { result, held_ms } = await judged(subject);
    expect(result).toMatchObject(DEAD);
    expect(held_ms).toBeLessThan(900);
    await subject.end();
  });

  test.each([
    ["TCP", "meta l4proto tcp ip daddr 10.91.0.1", "answers ping"],
    ["both TCP and ping", "ip daddr 10.91.0.1", "is heard on the link"],
  ])("sees a gateway that ignores %s", async (_what, rule, how) => {
    office.forget();
    office.drop(rule);
    const subject = await start(office);
    const { detail, metrics, reasons } = await sampled(subject);
    expect(detail.self_test?.gateway).toMatchObject({ target: GATEWAY, reached: true, how });
    if (how.endsWith("ping")) expect(metrics.self_gateway_rtt_ms).toBeLessThan(500);
    else expect([metrics.self_gateway_rtt_ms, reasons.self_gateway_rtt_ms]).toEqual([null, "unsupported"]);
    office.drop();
    await subject.end();
  });

  test("is not cut off while its gateway answers and nothing beyond it does", async () => {
    const subject = await start(office);
    office.drop("ip daddr 10.91.1.0/24");
    const { result, held_ms } = await judged(subject);
    expect(result).toMatchObject(DEAD);
    expect(held_ms).toBeLessThan(900);
    const { detail, reasons } = await sampled(subject);
    expect(detail.self_test).toMatchObject({ cut_off: false, resolver: { reached: false }, edge: { reached: false } });
    expect(reasons).toEqual({ self_resolver_ms: "timeout", self_edge_ms: "timeout" });
    office.drop();
    await subject.end();
  });

  test("reaches its server by the address it answered at last, though no resolver answers any more", async () => {
    const subject = await start(office, "http://edge.office.test:8787");
    expect((await sampled(subject)).detail.self_test?.edge).toMatchObject({ target: EDGE, reached: true });
    office.drop("meta l4proto udp", "ip daddr 10.91.0.1");
    const { detail } = await sampled(subject);
    expect(detail.self_test).toMatchObject({
      resolver: { reached: false },
      edge: { target: EDGE, reached: true },
      cut_off: false,
    });
    office.drop();
    await subject.end();
  });

  test("asks the proxy where its server is behind one", async () => {
    const subject = await start(office, "http://198.51.100.1", "yes", { http_proxy: SERVER });
    const { detail } = await sampled(subject);
    expect(detail.self_test?.edge).toMatchObject({ target: EDGE, reached: true, how: "its proxy accepts TCP port 8787" });
    await subject.end();
  });

  test("asks nobody and judges nothing where its owner forbids it", async () => {
    const subject = await start(office, SERVER, "no");
    office.drop("ip daddr 10.91.0.0/16");
    const { result, held_ms } = await judged(subject);
    expect(result).toMatchObject(DEAD);
    expect(held_ms).toBeLessThan(100);
    const { metrics, reasons, detail } = await sampled(subject);
    expect([...new Set(Object.values(metrics)), ...new Set(Object.values(reasons))]).toEqual([null, "not_applicable"]);
    expect(detail).toEqual({});
    office.drop();
    await subject.end();
  });
});

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
