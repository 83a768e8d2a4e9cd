// Events of many clients: one set of witnesses for a target that fails for all, who is asked, and who may see what came of it.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Asker, asAdmin, asPerson, createTest, ORIGIN, pingResult, problemOf, Socket, told } from "./edge.ts";
import { dumpD1, evictFleet, runAlarm } from "./inside.ts";
import { type Answers, eventOf, eventsOf, FakeAgent, lost, path, sees } from "./witness.ts";

let admin: Asker;
let clients: string[] = [];
let tags: Record<string, string>;
let target: string;
let last = 0;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(() => {
  last += 1;
  target = `127.78.0.${last}`;
  tags = { group: crypto.randomUUID() };
});
afterEach(async () => {
  await Promise.all(clients.map((id) => admin.send("DELETE", `/api/v1/clients/${id}`)));
  clients = [];
});

async function start(change: Record<string, unknown>, answers?: Answers): Promise<FakeAgent> {
  const agent = await FakeAgent.start({ tags, ...change }, answers);
  clients.push(agent.id);
  return agent;
}
const groupTest = (change: Record<string, unknown> = {}) =>
  createTest(admin, { destination: target, selector: { tags }, interval_s: 10, ...change });

/** Lets a test fail for the agent and answers with its event. */
async function failed(agent: FakeAgent, result: Record<string, unknown>) {
  const page = await Socket.open(`/api/v1/clients/${agent.id}/live`, { ...admin.headers, origin: ORIGIN });
  await told(page, "snapshot");
  await agent.upload(result);
  const { event } = await told(page, "event", (frame) => frame.event.completed_at !== null);
  page.close();
  return eventOf(admin, event.id);
}

const WAY = ["10.1.0.1", "203.0.113.7"];

describe("a target that fails for many", () => {
  test("is looked at once: later events share the edge's check and the siblings of the first", async () => {
    const { id } = await groupTest();
    const dead = sees([...WAY, null], target);
    const agents = await Promise.all(["Oslo", "Oslo", "Rome", "Ulm", "Bern"].map((site) => start({ site }, dead)));
    const [first, ...others] = agents;
    if (first === undefined) throw new Error("no agents");
    const lead = await failed(first, lost(id));
    expect(lead.evidence).toMatchObject({ shared_from: null, siblings: [{}, {}] });
    const before = agents.map(({ orders }) => orders.length);
    const later = await Promise.all(others.map((agent) => failed(agent, lost(id))));
    for (const [index, { evidence, client_id, verdict }] of later.entries()) {
      expect(evidence.shared_from).toBe(lead.id);
      expect(evidence.edge).toEqual(lead.evidence.edge);
      // The first client is a witness too, and nobody is one for itself.
      const named = evidence.siblings.map((sibling) => sibling.client_id);
      expect(named).toContain(first.id);
      expect(named).not.toContain(client_id);
      expect(evidence.siblings.every(({ opinion }) => opinion === "failed")).toBe(true);
      expect(verdict).toBe("target");
      expect(evidence.path?.result_id).toContain(others[index]?.id);
    }
    // Each later event cost one path, its own client's.
    expect(agents.map(({ orders }, index) => orders.length - (before[index] ?? 0))).toEqual([0, 1, 1, 1, 1]);
  });

  test("at the same moment: whoever is first asks, the others wait for its witnesses", async () => {
    const { id } = await groupTest();
    const agents = await Promise.all(
      ["Oslo", "Rome", "Ulm", "Bern"].map((site) => start({ site }, sees([...WAY, null], target))),
    );
    const events = await Promise.all(agents.map((agent) => failed(agent, lost(id))));
    const leads = events.filter(({ evidence }) => evidence.shared_from === null);
    expect(leads).toHaveLength(1);
    for (const { evidence } of events.filter((event) => event !== leads[0])) {
      expect(evidence.shared_from).toBe(leads[0]?.id);
      expect(evidence.edge.state).toBe("failed");
    }
  }, 15_000);

  test("is looked at anew when the first failure was of one client alone, or is over", async () => {
    const { id } = await groupTest();
    let cut = false;
    const see: Answers = (order) => sees([...WAY, cut ? null : target], target)(order);
    const alone = await start({ site: "Oslo" }, sees([null], target));
    const next = await start({ site: "Rome" }, see);
    expect((await failed(alone, lost(id))).verdict).toBe("access");
    cut = true;
    const second = await failed(next, lost(id));
    expect(second).toMatchObject({ verdict: "target", evidence: { shared_from: null } });
    const page = await Socket.open(`/api/v1/clients/${next.id}/live`, { ...admin.headers, origin: ORIGIN });
    await told(page, "snapshot");
    await next.upload(pingResult(1, { test_id: id }));
    await told(page, "event", ({ event }) => event.closed_at !== null);
    const third = await failed(await start({ site: "Ulm" }, see), lost(id));
    expect(third.evidence.shared_from).toBeNull();
  });

  test("is asked about anew when the fleet's object has forgotten", async () => {
    const { id } = await groupTest();
    const [one, two] = [await start({ site: "Oslo" }, sees([null], target)), await start({ site: "Rome" }, sees([null], target))];
    await failed(one, lost(id));
    await evictFleet();
    const event = await failed(two, lost(id));
    expect(event.evidence).toMatchObject({ shared_from: null, siblings: [{ client_id: one.id }] });
  });
});

describe("witnesses", () => {
  test("are clients of the same test first, one of the same site and one from elsewhere", async () => {
    const { id } = await createTest(admin, { destination: target, selector: { tags: { runs: tags.group } } });
    const runs = { tags: { ...tags, runs: tags.group } };
    const good = sees([...WAY, target], target);
    const neighbours = await Promise.all([1, 2].map(() => start({ site: "Oslo" }, good)));
    const sameSite = await start({ site: "Oslo", ...runs }, good);
    const elsewhere = await start({ site: "Rome", ...runs }, good);
    await start({ site: "Oslo", ...runs }, good);
    const victim = await start({ site: "Oslo", ...runs }, sees([null], target));
    const { evidence } = await failed(victim, lost(id));
    const sites = evidence.siblings.map(({ site, runs_test }) => [site, runs_test]);
    expect(sites).toEqual([
      ["Oslo", true],
      ["Rome", true],
    ]);
    expect(evidence.siblings[1]?.client_id).toBe(elsewhere.id);
    expect([sameSite, ...neighbours].filter(({ orders }) => orders.length > 0).length).toBeLessThanOrEqual(1);
  });

  test("that are away, or the client itself, are not asked; neighbours are, where nobody runs the test", async () => {
    const { id } = await createTest(admin, { destination: target, selector: { tags: { runs: tags.group } } });
    const neighbour = await start({ site: "Oslo" }, sees([...WAY, target], target));
    const gone = await start({ site: "Oslo" });
    await admin.send("PATCH", `/api/v1/clients/${gone.id}`, { status: "retired" });
    const victim = await start({ site: "Oslo", tags: { ...tags, runs: tags.group } }, sees([null], target));
    const { evidence, verdict } = await failed(victim, lost(id));
    expect(evidence.siblings.map(({ client_id, runs_test }) => [client_id, runs_test])).toEqual([[neighbour.id, false]]);
    expect([verdict, gone.orders]).toEqual(["access", []]);
  });

  test("say what their own newest result of the test is, and are not asked twice for what they just measured", async () => {
    const { id } = await groupTest();
    const sibling = await start({ site: "Rome" }, ({ job }) => (job?.type === "traceroute" ? path([...WAY, null], target) : {}));
    // Long measured when it comes, so that it opens no event; the newest one all the same.
    await sibling.upload(lost(id, { started_at: Date.now() - 600_000 }));
    const victim = await start({ site: "Oslo" }, sees([null], target));
    // Its failing run took so long that the sibling's result came while it ran.
    const { evidence, verdict } = await failed(victim, lost(id, { duration_ms: 60_000, started_at: Date.now() - 60_000 }));
    expect(evidence.siblings).toMatchObject([{ opinion: "failed", same_test: { type: "ping", opinion: "failed" }, check: null }]);
    expect(sibling.orders.map(({ job }) => job?.type)).not.toContain("ping");
    expect(verdict).toBe("target");
  });

  test("are asked by one client six times a minute at most", async () => {
    const sibling = await start({ site: "Rome" }, sees([null], target));
    const tests = await Promise.all(Array.from({ length: 9 }, (_, at) => groupTest({ destination: `127.79.${last}.${at + 1}` })));
    const victims = await Promise.all([1, 2, 3].map(() => start({ site: "Oslo" }, () => undefined)));
    for (const [at, victim] of victims.entries()) {
      const page = await Socket.open(`/api/v1/clients/${victim.id}/live`, { ...admin.headers, origin: ORIGIN });
      for (const { id, destination } of tests.slice(at * 3, at * 3 + 3)) {
        await victim.upload(lost(id, { destination }));
        await told(page, "event", ({ event }) => event.test_id === id);
        // One that had all its answers is complete by then, and no alarm is left of it.
        await runAlarm(victim.id);
        await told(page, "event", ({ event }) => event.test_id === id && event.completed_at !== null);
      }
    }
    const asked = new Set(sibling.orders.filter(({ job }) => job?.type === "traceroute").map(({ job }) => job?.destination));
    expect(asked.size).toBeLessThanOrEqual(6);
  });
});

describe("the list", () => {
  test("is newest first, by page, client, test and time, and closed ones apart", async () => {
    const tests = [await groupTest(), await groupTest()];
    const victim = await start({ site: "Oslo" }, sees([null], target));
    const [old] = [await failed(victim, lost(tests[0]?.id ?? ""))];
    const young = await failed(victim, lost(tests[1]?.id ?? ""));
    const ids = async (query: string) => (await eventsOf(admin, query)).map(({ id }) => id);
    const mine = `client_id=${victim.id}`;
    expect(await ids(mine)).toEqual([young.id, old.id]);
    expect(await ids(`${mine}&test_id=${old.test_id}`)).toEqual([old.id]);
    expect(await ids(`${mine}&from=${young.opened_at}`)).toEqual([young.id]);
    expect(await ids(`${mine}&to=${old.opened_at}`)).toEqual([old.id]);
    const page = await admin.get<{ items: { id: string }[]; next_cursor: string }>(`/api/v1/events?${mine}&limit=1`);
    expect(page.items.map(({ id }) => id)).toEqual([young.id]);
    expect(await ids(`${mine}&limit=1&cursor=${page.next_cursor}`)).toEqual([old.id]);
  });

  test.each([["limit=0"], ["open=maybe"], ["from=2&to=1"], ["cursor=%00"], ["colour=red"], ["from=yesterday"]])(
    "refuses %s",
    async (query) => {
      expect(await problemOf(await admin.send("GET", `/api/v1/events?${query}`))).toMatchObject({
        status: 400,
        code: "bad_query",
      });
    },
  );

  test("forgets the events of a client that is deleted", async () => {
    const { id } = await groupTest();
    const victim = await start({ site: "Oslo" }, sees([null], target));
    const event = await failed(victim, lost(id));
    await admin.send("DELETE", `/api/v1/clients/${victim.id}`);
    expect(await problemOf(await admin.send("GET", `/api/v1/events/${event.id}`))).toMatchObject({ status: 404 });
    expect((await dumpD1()).event?.filter((row) => row.includes(event.id))).toEqual([]);
  });
});

describe("people limited to sites", () => {
  test("see events of their sites, and of other sites' clients no name, address or message", async () => {
    const { id } = await groupTest();
    const near = await start({ site: "Oslo", name: "near" }, sees([...WAY, target], target));
    const far = await start({ site: "Rome", name: "far-away" }, sees(["10.99.0.1", target], target));
    const victim = await start({ site: "Oslo" }, sees(["10.1.0.1", null], target));
    const { id: event } = await failed(victim, lost(id));
    const [inside, outside] = [await asPerson(admin, "viewer", ["Oslo"]), await asPerson(admin, "viewer", ["Rome"])];
    const shown = await eventOf(inside, event);
    expect(shown.evidence.siblings).toMatchObject([
      { client_id: near.id, name: "near", site: "Oslo", path: { hops: [{}, {}, {}] } },
      {
        client_id: null,
        name: null,
        site: null,
        opinion: "fine",
        path: { result_id: null, hops: [] },
        check: { result_id: null },
      },
    ]);
    const text = JSON.stringify(shown);
    for (const secret of [far.id, "far-away", "Rome", "10.99.0.1"]) expect(text).not.toContain(secret);
    expect((await eventsOf(inside, "")).map((one) => one.id)).toContain(event);
    expect((await eventsOf(outside, "")).map((one) => one.id)).not.toContain(event);
    for (const address of [`events/${event}`, `events?client_id=${victim.id}`]) {
      expect(await problemOf(await outside.send("GET", `/api/v1/${address}`))).toMatchObject({ status: 404, code: "not_found" });
    }
  });

  test("hear of it on the client's page without any other client's name", async () => {
    const { id } = await groupTest();
    const far = await start({ site: "Rome", name: "far-away" }, sees([...WAY, target], target));
    const victim = await start({ site: "Oslo" }, sees([null], target));
    const person = await asPerson(admin, "viewer", ["Oslo"]);
    const page = await Socket.open(`/api/v1/clients/${victim.id}/live`, { ...person.headers, origin: ORIGIN });
    await victim.upload(lost(id));
    const { event } = await told(page, "event", (frame) => frame.event.completed_at !== null);
    expect(event.verdict).toBe("access");
    for (const secret of [far.id, "far-away", "Rome"]) expect(JSON.stringify(event)).not.toContain(secret);
  });
});

describe("an event ends", () => {
  test.each<[string, (test: string, client: string) => Promise<unknown>]>([
    ["its test is paused", (id) => admin.send("POST", `/api/v1/tests/${id}/pause`)],
    ["its test is deleted", (id) => admin.send("DELETE", `/api/v1/tests/${id}`)],
    ["its client is retired", (_, id) => admin.send("PATCH", `/api/v1/clients/${id}`, { status: "retired" })],
  ])("when %s", async (_, change) => {
    const { id } = await groupTest();
    const victim = await start({ site: "Oslo" }, sees([null], target));
    const event = await failed(victim, lost(id));
    const page = await Socket.open(`/api/v1/clients/${victim.id}/live`, { ...admin.headers, origin: ORIGIN });
    await told(page, "snapshot");
    await change(id, victim.id);
    await told(page, "event", (frame) => frame.event.closed_at !== null);
    expect((await eventOf(admin, event.id)).closed_at).not.toBeNull();
  });

  test("before its witnesses have spoken: it is completed and closed at once", async () => {
    const { id } = await groupTest();
    const victim = await start({ site: "Oslo" });
    const page = await Socket.open(`/api/v1/clients/${victim.id}/live`, { ...admin.headers, origin: ORIGIN });
    await told(page, "snapshot");
    await victim.upload(lost(id));
    const opened = await told(page, "event");
    await victim.upload(pingResult(2, { test_id: id }));
    await runAlarm(victim.id);
    const { event } = await told(page, "event", (frame) => frame.event.completed_at !== null);
    expect(event.closed_at).not.toBeNull();
    expect(await eventOf(admin, opened.event.id)).toMatchObject({ closed_at: event.closed_at });
  });
});

describe("a last good path", () => {
  const there = "198.51.100.7";
  const baseline = { type: "traceroute", destination: there };

  test("is ordered once when a test is fine, and compared with when it fails", async () => {
    const { id } = await groupTest({ destination: there });
    let cut = false;
    const agent = await start({ site: "Oslo" }, ({ job }) =>
      job?.type === "traceroute" ? path([...WAY, cut ? null : there], there) : {},
    );
    await agent.upload(pingResult(1, { test_id: id }));
    await agent.answers(1);
    await agent.upload(pingResult(1, { test_id: id }), pingResult(1, { test_id: id }));
    expect(agent.orders.map(({ job }) => job)).toMatchObject([baseline]);
    cut = true;
    const event = await failed(agent, lost(id));
    expect(event.evidence).toMatchObject({
      last_good: { reached: true, destination: there },
      diff: { outcome: "stops", stops_after_ttl: 2, lost: [{ ttl: 3, addrs: [there] }] },
    });
  }, 15_000);

  test("is taken from a traceroute test where there is one, and costs nothing then", async () => {
    const ping = await groupTest({ destination: there });
    const trace = await groupTest({ type: "traceroute", destination: there });
    const agent = await start({ site: "Oslo" }, sees([WAY[0] ?? null, null], there));
    await agent.upload({ ...path([...WAY, there], there), test_id: trace.id, destination: there });
    await agent.upload(pingResult(1, { test_id: ping.id }));
    expect(agent.orders).toEqual([]);
    const { evidence } = await failed(agent, lost(ping.id));
    expect(evidence.last_good?.result_id).toBe(`${agent.id}.1`);
  }, 15_000);

  test("of this machine itself is not wanted", async () => {
    const { id } = await groupTest();
    const agent = await start({ site: "Oslo" });
    await agent.upload(pingResult(1, { test_id: id }));
    expect(agent.orders).toEqual([]);
  });
});
