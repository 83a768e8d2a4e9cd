// The baseline self-test on a real host of its own that has a line: gateways fall silent, resolvers and servers go.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EDGE, GATEWAY, missing, type Office, RESOLVER } from "./helpers/office.ts";
import { DEAD, judged, NO_TOOLS, newOffice, SERVER, sampled, start, world } from "./helpers/self-test.ts";

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
