// Results that were not measured here: of a client that was cut off, whose owner forbids the test, whose host was too busy.
// They are neither fine nor failing anywhere; what failed before stays as it was.
import { describe, expect, test } from "vitest";
import type { FleetClient, SeriesReply, TestDetail } from "#contract/api";
import { seriesId } from "#contract/series-id";
import { asAdmin, createTest, ORIGIN, Socket, told } from "./edge.ts";
import { eventOf, eventsOf, FakeAgent, lost, sees } from "./witness.ts";

const admin = await asAdmin();
/** An address of its own for each scene, so that no event shares another's evidence; nothing listens there. */
let target = "";
let scenes = 0;

const agentError = (code: string) => ({ code, source: "agent", message: "this host reached nothing" });

/** A ping that ran into the agent's own cut line. */
const cutOff = (test_id: string, code = "cut_off"): Record<string, unknown> => ({
  test_id,
  destination: target,
  status: "failed",
  error: agentError(code),
  metrics: { ping_sent: null, ping_received: null, ping_loss_pct: null, ping_rtt_median: null },
  reasons: { ping_sent: "no_route", ping_received: "no_route", ping_loss_pct: "no_route", ping_rtt_median: "no_route" },
  detail: { before: { status: "failed", error: null, metrics: { ping_sent: 5, ping_received: 0 } } },
  flags: code === "cut_off" ? ["cut_off"] : [],
});

/** One that was answered until the line went. */
const halfCut = (test_id: string): Record<string, unknown> => ({
  ...cutOff(test_id),
  status: "partial",
  metrics: { ping_sent: 5, ping_received: null, ping_loss_pct: null, ping_rtt_median: 9 },
});

const fine = (test_id: string, change: Record<string, unknown> = {}) => ({ test_id, destination: target, ...change });

async function scene(): Promise<{ agent: FakeAgent; id: string }> {
  scenes += 1;
  target = `127.78.0.${scenes}`;
  const agent = await FakeAgent.start({}, sees([null], target));
  const { id } = await createTest(admin, { destination: target, client_ids: [agent.id], interval_s: 10 });
  return { agent, id };
}

async function lineOf(agent: FakeAgent): Promise<FleetClient | undefined> {
  const { clients } = await admin.get<{ clients: FleetClient[] }>("/api/v1/fleet");
  return clients.find(({ id }) => id === agent.id);
}

describe.each(["cut_off", "not_consented", "host_overloaded", "aborted"])("a result with code %s", (code) => {
  test("is counted as not measured, not as failing, and leaves the sparkline alone", async () => {
    const { agent, id } = await scene();
    const page = await Socket.open("/api/v1/fleet/live", { ...admin.headers, origin: ORIGIN });
    await agent.upload(fine(id), cutOff(id, code));
    const { client } = await told(page, "status", (frame) => frame.client_id === agent.id && frame.client?.unmeasured === 1);
    expect(client).toMatchObject({ failing: 0, unmeasured: 1, spark: [0.05], status: "online" });
    await agent.upload(fine(id));
    const after = await told(page, "status", (frame) => frame.client_id === agent.id && frame.client?.unmeasured === 0);
    expect(after.client).toMatchObject({ failing: 0, spark: [0.05, 0.05] });
    page.close();
  });

  test("opens no event", async () => {
    const { agent, id } = await scene();
    await agent.upload(fine(id), cutOff(id, code));
    await agent.upload(cutOff(id, code));
    await lineOf(agent);
    expect(await eventsOf(admin, `client_id=${agent.id}`)).toEqual([]);
  });
});

describe("an event that is open", () => {
  test.each([
    ["failed", cutOff],
    ["partial", halfCut],
  ])("is neither closed nor changed by a run cut off that %s, and closed by the next good one", async (_status, result) => {
    const { agent, id } = await scene();
    const page = await Socket.open(`/api/v1/clients/${agent.id}/live`, { ...admin.headers, origin: ORIGIN });
    await agent.upload(fine(id));
    await agent.upload(lost(id));
    const { event } = await told(page, "event", (frame) => frame.event.completed_at !== null);
    const before = await eventOf(admin, event.id);
    await agent.upload(result(id), result(id));
    await lineOf(agent);
    expect(await eventOf(admin, event.id)).toEqual(before);
    expect(before.closed_at).toBeNull();
    expect(await eventsOf(admin, `client_id=${agent.id}`)).toHaveLength(1);
    await agent.upload(fine(id));
    const closed = await told(page, "event", (frame) => frame.event.closed_at !== null);
    expect(closed.event.id).toBe(event.id);
    page.close();
  });
});

describe("a chart", () => {
  test("has a gap with a mark where the client was cut off, no loss", async () => {
    const { agent, id } = await scene();
    const now = Date.now();
    await agent.upload(fine(id, { started_at: now - 90_000 }), { ...cutOff(id), started_at: now - 30_000 });
    const range = `from=${new Date(now - 120_000).toISOString()}&to=${new Date(now).toISOString()}`;
    const reply = await admin.get<SeriesReply>(`/api/v1/series?test_id=${id}&metric=ping_rtt_median&${range}&points=12`);
    expect(reply.series).toHaveLength(1);
    expect(reply.series[0]).toMatchObject({ count: [1], median: [0.05], loss_pct: [0] });
    expect(reply.marks).toMatchObject([{ client_id: agent.id, test_id: id, flag: "cut_off" }]);
    expect(reply.marks[0]?.t[0]).toBeGreaterThan(reply.series[0]?.t[0] ?? Number.NaN);
  });
});

describe("a mesh", () => {
  test("shows a failing peer rather than one that was not measured, and that rather than a good one", async () => {
    const tags = { group: crypto.randomUUID() };
    const [one, two, three] = [await FakeAgent.start({ tags }), await FakeAgent.start({ tags }), await FakeAgent.start({ tags })];
    const { id } = await createTest(admin, { destination: "mesh", selector: { tags }, interval_s: 60 });
    const to = (peer: FakeAgent) => seriesId(id, peer.id);
    const shown = async () =>
      (await admin.get<TestDetail>(`/api/v1/tests/${id}`)).clients.find((client) => client.id === one.id)?.latest;
    await one.upload(cutOff(to(two)), fine(to(three)));
    expect(await shown()).toMatchObject({ peer_id: two.id, error: { code: "cut_off" } });
    await one.upload(lost(to(three)));
    expect(await shown()).toMatchObject({ peer_id: three.id, error: { source: "target" } });
  });
});
