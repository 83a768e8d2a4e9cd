// A target fails for a client: the edge looks, the client's path is seen, other clients are asked, all of it stands in one event.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NetworkEvent, NetworkEventDetail } from "#contract/events";
import { type Asker, agentOf, asAdmin, createTest, ORIGIN, pingResult, register, Socket, told, upload } from "./edge.ts";
import { edgeEnv, kill, runAlarm } from "./inside.ts";
import { type Answers, answered, eventOf, eventsOf, FakeAgent, lost, NO_REPLY, path, sees } from "./witness.ts";

let admin: Asker;
let tags: Record<string, string>;
/** An address of its own for each test, so that no event shares another's evidence; nothing listens there. */
let target: string;
let last = 0;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(() => {
  last += 1;
  target = `127.77.${Math.floor(last / 250)}.${1 + (last % 250)}`;
  tags = { group: crypto.randomUUID() };
});

let clients: string[] = [];
afterEach(async () => {
  // Whoever stays could witness for the next test.
  await Promise.all(clients.map((id) => admin.send("DELETE", `/api/v1/clients/${id}`)));
  clients = [];
});

async function start(site: string, answers?: Answers): Promise<FakeAgent> {
  const agent = await FakeAgent.start({ site, tags }, answers);
  clients.push(agent.id);
  return agent;
}

/** A test that every agent of this test's group runs. */
const groupTest = (change: Record<string, unknown> = {}) =>
  createTest(admin, { destination: target, selector: { tags }, interval_s: 10, ...change });

async function pageOf(agent: FakeAgent): Promise<Socket> {
  const page = await Socket.open(`/api/v1/clients/${agent.id}/live`, { ...admin.headers, origin: ORIGIN });
  await told(page, "snapshot");
  return page;
}

/** The next event frame that fits. */
async function frame(page: Socket, fits: (event: NetworkEvent) => boolean): Promise<NetworkEvent> {
  return (await told(page, "event", ({ event }) => fits(event))).event;
}
const completed = ({ completed_at }: NetworkEvent) => completed_at !== null;

/** Lets a test fail for the agent and reads the event once its witnesses have spoken. */
async function failed(agent: FakeAgent, result: Record<string, unknown>): Promise<NetworkEventDetail> {
  const page = await pageOf(agent);
  await agent.upload(result);
  const { id } = await frame(page, completed);
  page.close();
  return eventOf(admin, id);
}

/** Waits until every statement that is on its way has reached the client's object. */
const heard = (agent: FakeAgent) => admin.get(`/api/v1/clients/${agent.id}`);

const HOPS = ["10.1.0.1", "10.1.0.2", "203.0.113.7"];
const OTHER_WAY = ["10.2.0.1", "203.0.113.6", "203.0.113.7"];

describe("a fault of the client's own access", () => {
  test("is told from the path that ends there, a path that was good, and two other clients that reach the target", async () => {
    const { id } = await groupTest();
    const [near, far] = [
      await start("Oslo", sees(["10.1.0.9", ...HOPS.slice(1), target], target)),
      await start("Rome", sees([...OTHER_WAY, target], target)),
    ];
    let cut = false;
    const victim = await start("Oslo", ({ job }) => {
      if (job?.type !== "traceroute") return undefined;
      return cut ? path([HOPS[0] ?? null, null, null], target) : path([...HOPS, target], target);
    });
    await victim.upload(pingResult(1, { test_id: id }));
    await victim.upload(answered({ run_id: "r" }, { ...path([...HOPS, target], target), destination: target }));
    cut = true;
    const began = Date.now();
    const event = await failed(victim, lost(id));
    expect(Date.now() - began).toBeLessThan(9000);
    expect(event).toMatchObject({
      client_id: victim.id,
      test_id: id,
      peer_id: null,
      kind: "target_failed",
      closed_at: null,
      verdict: "access",
      evidence: {
        failure: { type: "ping", destination: target, error: NO_REPLY, loss_pct: 100 },
        path_state: "answered",
        path: { reached: false, hops: [{ ttl: 1, addrs: ["10.1.0.1"] }, { addrs: [] }, { addrs: [] }] },
        last_good: { reached: true },
        diff: { outcome: "stops", stops_after_ttl: 1, stops_after_addr: "10.1.0.1" },
        shared_from: null,
      },
    });
    expect(event.evidence.diff?.lost.map(({ ttl }) => ttl)).toEqual([2, 3, 4]);
    const siblings = event.evidence.siblings.map(({ client_id, opinion, same_site, runs_test, state, path: seen, check }) => ({
      client_id,
      said: [opinion, same_site, runs_test, state, seen?.reached, check?.status],
    }));
    const bySite = siblings.sort((a, b) => Number(b.said[1]) - Number(a.said[1]));
    expect(bySite).toEqual([
      { client_id: near.id, said: ["fine", true, true, "answered", true, "ok"] },
      { client_id: far.id, said: ["fine", false, true, "answered", true, "ok"] },
    ]);
    expect(event.summary).toBe(
      `${target} fails for this client alone: it is reached by 2 other clients. The path stops after hop 1 (10.1.0.1).`,
    );
  });

  test("witness runs are stored as results of their own clients, without a test", async () => {
    const { id } = await groupTest();
    const sibling = await start("Rome", sees([...OTHER_WAY, target], target));
    const victim = await start("Oslo", sees([null], target));
    const { evidence } = await failed(victim, lost(id));
    for (const [agent, run] of [
      [victim, evidence.path],
      [sibling, evidence.siblings[0]?.path],
    ] as const) {
      const result = await admin.get<Record<string, unknown>>(`/api/v1/results/${run?.result_id}`);
      expect(result).toMatchObject({ client_id: agent.id, type: "traceroute", test_id: null, destination: target });
      expect(agent.orders.map(({ run_id }) => run_id)).toContain(result.run_id);
    }
  });

  test("every ordered path ends within six seconds, and asks for no names", async () => {
    const { id } = await groupTest();
    const sibling = await start("Rome", sees([...OTHER_WAY, target], target));
    const victim = await start("Oslo", sees([null], target));
    await failed(victim, lost(id));
    for (const order of [...sibling.orders, ...victim.orders].filter(({ job }) => job?.type === "traceroute")) {
      expect(order.job).toEqual({
        type: "traceroute",
        destination: target,
        params: { flows: 2, timeout: 0.7, deadline: 6, names: false },
      });
    }
  });
});

describe("a dead target", () => {
  test("is one on which all agree, the edge among them", async () => {
    const { id } = await groupTest({ type: "tcp", destination: `${target}:9`, params: {} });
    const dead = { code: "no_reply", source: "target", message: "no answer" };
    const see: Answers = ({ job }) =>
      job?.type === "traceroute" ? path([...HOPS, null], target) : { status: "failed", error: dead, metrics: {}, reasons: {} };
    await start("Oslo", see);
    await start("Rome", see);
    const victim = await start("Oslo", see);
    const event = await failed(victim, { test_id: id, type: "tcp", status: "failed", error: dead, metrics: {}, reasons: {} });
    expect(event.verdict).toBe("target");
    expect(event.evidence.edge).toMatchObject({ state: "failed", method: "connect", target: `${target}:9`, alive: null });
    expect(event.evidence.siblings.map(({ opinion }) => opinion)).toEqual(["failed", "failed"]);
    expect(event.summary).toBe(`Nobody who looked reaches ${target}: neither this client nor the server and 2 other clients.`);
  });

  test("that is fine again closes its event, once, and fails anew within five minutes without another one", async () => {
    const { id } = await groupTest();
    const victim = await start("Oslo", sees([null], target));
    const page = await pageOf(victim);
    const first = await failed(victim, lost(id));
    await victim.upload(lost(id), lost(id));
    await victim.upload(pingResult(1, { test_id: id, destination: target }));
    expect((await frame(page, ({ closed_at }) => closed_at !== null)).id).toBe(first.id);
    const closed = await eventOf(admin, first.id);
    expect(closed).toEqual({ ...first, closed_at: closed.closed_at });
    await victim.upload(lost(id));
    expect(await eventsOf(admin, `client_id=${victim.id}`)).toHaveLength(1);
    expect(await eventsOf(admin, `client_id=${victim.id}&open=true`)).toEqual([]);
    expect(await eventsOf(admin, `client_id=${victim.id}&open=false`)).toHaveLength(1);
  });
});

describe("an event is opened", () => {
  test("by a live sample, before the upload that brings the result", async () => {
    const { id } = await groupTest();
    const victim = await start("Oslo", sees([null], target));
    const page = await pageOf(victim);
    victim.sample(lost(id));
    const opened = await frame(page, () => true);
    expect(opened).toMatchObject({ test_id: id, completed_at: null, verdict: null });
    expect(opened.summary).toContain(NO_REPLY.message);
    await victim.upload(lost(id));
    await frame(page, completed);
    expect(await eventsOf(admin, `client_id=${victim.id}`)).toHaveLength(1);
  });

  test.each<[string, Record<string, unknown>]>([
    ["half of five packets lost", { status: "ok", error: null, metrics: { ping_sent: 6, ping_received: 3, ping_loss_pct: 50 } }],
    [
      "a name the client's resolver does not know",
      { error: { code: "dns_not_found", source: "resolver", message: "x" }, metrics: {} },
    ],
    ["a network that says no", { error: { code: "unreachable", source: "network", message: "x" }, metrics: {} }],
  ])("by %s", async (_, change) => {
    const { id } = await groupTest();
    const victim = await start("Oslo", sees([null], target));
    const event = await failed(victim, lost(id, { reasons: {}, ...change }));
    expect(event).toMatchObject({ test_id: id, verdict: "unclear" });
  });

  test.each<[string, Record<string, unknown>]>([
    ["a tool that is missing", { error: { code: "tool_missing", source: "tool", message: "x" }, metrics: {} }],
    ["an agent that may not measure", { error: { code: "skipped", source: "agent", message: "x" }, metrics: {} }],
    [
      "one of three packets that came back",
      { status: "ok", error: null, metrics: { ping_sent: 3, ping_received: 1, ping_loss_pct: 66.7 } },
    ],
    [
      "a tenth of the packets lost",
      { status: "ok", error: null, metrics: { ping_sent: 10, ping_received: 9, ping_loss_pct: 10 } },
    ],
    ["a failure of yesterday", { started_at: Date.now() - 86_400_000 }],
    ["a test that is not the client's", { test_id: "0000000000000000" }],
    ["a run that somebody ordered apart", { test_id: null, run_id: "run-1" }],
  ])("but not by %s", async (_, change) => {
    const { id } = await groupTest();
    const victim = await start("Oslo", sees([null], target));
    await victim.upload(lost(id, { reasons: {}, ...change }));
    expect([await eventsOf(admin, `client_id=${victim.id}`), victim.orders]).toEqual([[], []]);
  });

  test("for three tests of a client a minute at most", async () => {
    const tests = await Promise.all(Array.from({ length: 5 }, () => groupTest()));
    const victim = await start("Oslo", sees([null], target));
    await victim.upload(...tests.map(({ id }) => lost(id)));
    await victim.upload(...tests.map(({ id }) => lost(id)));
    const page = await pageOf(victim);
    await frame(page, completed);
    expect(await eventsOf(admin, `client_id=${victim.id}`)).toHaveLength(3);
  });
});

describe("without witnesses", () => {
  test("the event says that nobody could tell", async () => {
    const { id } = await groupTest();
    const victim = await start("Oslo", sees([null], target));
    const event = await failed(victim, lost(id));
    expect(event).toMatchObject({ verdict: "unclear", evidence: { siblings: [], last_good: null } });
    expect(event.summary).toBe(`${target} fails for this client; nobody else could tell whether it is alive. No hop answers.`);
  });

  test("that answer in time it is completed without them", async () => {
    const { id } = await groupTest();
    const silent = await start("Rome");
    const victim = await start("Oslo");
    const began = Date.now();
    const event = await failed(victim, lost(id));
    expect(Date.now() - began).toBeLessThan(11_000);
    expect(event.verdict).toBe("unclear");
    expect(event.evidence).toMatchObject({
      path_state: "silent",
      path: null,
      siblings: [{ client_id: silent.id, state: "silent", opinion: "unknown" }],
    });
  }, 15_000);

  test("an agent over HTTPS is not asked for its path, which would come too late", async () => {
    const { id } = await groupTest();
    const reply = await register({ site: "Oslo", tags });
    clients.push(reply.client_id);
    const agent = agentOf(reply);
    await agent.post("/api/agent/v1/heartbeat", {});
    const page = await Socket.open(`/api/v1/clients/${reply.client_id}/live`, { ...admin.headers, origin: ORIGIN });
    await agent.post("/api/agent/v1/upload", upload(1, 1, { results: [{ ...pingResult(1), ...lost(id) }] }));
    const event = await frame(page, completed);
    expect((await eventOf(admin, event.id)).evidence).toMatchObject({ path_state: "away", path: null });
  });
});

describe("a hostile agent", () => {
  const GARBAGE = [
    ["a detail that is none", { detail: { hops: "hops" } }],
    [
      "hops of all kinds",
      { detail: { hops: [null, 7, { ttl: -1 }, { ttl: 1, addrs: "x" }, { ttl: 2, addrs: [{}, "a b", "<b>"] }] } },
    ],
    ["a thousand hops", { detail: { hops: Array.from({ length: 1000 }, (_, at) => ({ ttl: at, addrs: ["10.0.0.1"] })) } }],
  ] as const;

  test.each(GARBAGE)("that answers with %s is heard as far as it makes sense", async (_, change) => {
    const { id } = await groupTest();
    const sibling = await start("Rome", ({ job }) =>
      job?.type === "traceroute" ? path([], target, { status: "ok", error: null, ...change }) : {},
    );
    const victim = await start("Oslo", sees([null], target));
    const { evidence } = await failed(victim, lost(id));
    const [said] = evidence.siblings;
    expect(said).toMatchObject({ client_id: sibling.id, state: "answered", path: { reached: false } });
    for (const hop of said?.path?.hops ?? []) {
      expect(hop.ttl).toBeGreaterThan(0);
      for (const addr of hop.addrs) expect(addr).toBe("10.0.0.1");
    }
    expect(said?.path?.hops.length).toBeLessThanOrEqual(64);
  });

  test("is not heard about another target, by another type, or about what it was not asked", async () => {
    const { id } = await groupTest();
    const other = "198.51.100.1";
    const sibling = await start("Rome", ({ job }) =>
      job?.type === "traceroute" ? { ...path([...HOPS, other], other), destination: other } : { type: "tcp" },
    );
    const victim = await start("Oslo");
    const page = await pageOf(victim);
    await victim.upload(lost(id));
    const { id: event } = await frame(page, () => true);
    await sibling.answers(2);
    const [theirs] = sibling.orders;
    const [own] = victim.orders;
    if (theirs === undefined || own === undefined) throw new Error("nobody was asked");
    // The run of another client, another target under its own run, and an event's id in place of a run's.
    for (const run_id of [theirs.run_id, event])
      await victim.upload(answered({ ...own, run_id }, path([...HOPS, target], target)));
    await victim.upload(answered(own, { ...path([...HOPS, other], other), destination: other }));
    for (const run_id of [own.run_id, event])
      await sibling.upload(answered({ ...theirs, run_id }, path([...HOPS, target], target)));
    expect(await runAlarm(victim.id)).toBe(true);
    await frame(page, completed);
    const { evidence, verdict } = await eventOf(admin, event);
    expect(evidence).toMatchObject({ path_state: "silent", siblings: [{ client_id: sibling.id, state: "silent", path: null }] });
    expect(verdict).toBe("unclear");
  });
});

describe("an object that is killed while witnesses are heard", () => {
  test("completes its event by its alarm, with what had come until then", async () => {
    const { id } = await groupTest();
    const sibling = await start("Rome", sees([...OTHER_WAY, target], target));
    const victim = await start("Oslo");
    const page = await pageOf(victim);
    await victim.upload(lost(id));
    const { id: event } = await frame(page, () => true);
    await sibling.answers(2);
    await heard(victim);
    await kill(victim.id);
    await victim.socket.closed;
    const again = await pageOf(victim);
    expect(await runAlarm(victim.id)).toBe(true);
    await frame(again, completed);
    expect(await eventOf(admin, event)).toMatchObject({
      verdict: "access",
      evidence: { path_state: "silent", siblings: [{ client_id: sibling.id, state: "answered", opinion: "fine" }] },
    });
    expect(await admin.get(`/api/v1/clients/${victim.id}`)).toMatchObject({ status: "online" });
  });
});

test("while D1 is away an event is heard all the same, and written when it is back", async () => {
  const { id } = await groupTest();
  const victim = await start("Oslo", sees([null], target));
  const page = await pageOf(victim);
  await edgeEnv.DB.exec("ALTER TABLE event RENAME TO event_away");
  await victim.upload(lost(id));
  const { id: event } = await frame(page, completed);
  await edgeEnv.DB.exec("ALTER TABLE event_away RENAME TO event");
  expect(await eventsOf(admin, `client_id=${victim.id}`)).toEqual([]);
  expect(await runAlarm(victim.id)).toBe(true);
  await frame(page, completed);
  expect(await eventOf(admin, event)).toMatchObject({ verdict: "unclear", evidence: { path_state: "answered" } });
});
