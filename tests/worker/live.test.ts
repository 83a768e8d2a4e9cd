// What is seen as it happens: live sockets of pages, the lease that makes agents stream, pushed instructions and runs.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Test } from "#contract/api";
import { edgeFrameSchema, type Instruction, type RegisterReply } from "#contract/wire";
import {
  type Asker,
  agentOf,
  asAdmin,
  connect,
  createTest,
  fetchEdge,
  hostSample,
  type Kind,
  ORIGIN,
  pingResult,
  problemOf,
  register,
  Socket,
  told,
  upload,
} from "./edge.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});

function page(path = `clients/${client.client_id}/live`): Promise<Socket> {
  return Socket.open(`/api/v1/${path}`, { ...admin.headers, origin: ORIGIN });
}

async function leased(agent: Socket): Promise<void> {
  const frame = edgeFrameSchema.parse(await agent.next("live"));
  expect(frame.type === "live" ? frame.until - Date.now() : 0).toBeGreaterThan(59_000);
}

describe("a client's page", () => {
  test("gets the whole client first, then each stored result and host sample once", async () => {
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 1));
    const socket = await page();
    const { client: shown } = await told(socket, "snapshot");
    expect(shown).toMatchObject({ id: client.client_id, last_seq: 1, status: "online" });
    const { socket: agent } = await connect(client.token);
    agent.send({ type: "upload", ...upload(2, 3, { results: [pingResult(2)], hosts: [hostSample(3)] }) });
    const { result } = await told(socket, "result");
    expect(result).toMatchObject({ id: `${client.client_id}.2`, seq: 2, metrics: { ping_rtt_median: 0.05 } });
    expect((await told(socket, "result")).host).toMatchObject({ seq: 3, metrics: { cpu_percent: 12.5 } });
  });

  test("sees a live sample at once; it is not stored, and shown only once when the outbox brings it", async () => {
    const { socket: agent } = await connect(client.token);
    const socket = await page();
    await told(socket, "snapshot");
    agent.send({ type: "sample", result: pingResult(2) });
    agent.send({ type: "sample", host: hostSample(3) });
    expect((await told(socket, "result")).result?.seq).toBe(2);
    expect((await told(socket, "result")).host?.seq).toBe(3);
    expect(await admin.get(`/api/v1/clients/${client.client_id}/ledger`)).toMatchObject({ last_seq: 0, results: 0, hosts: 0 });
    expect(await admin.get(`/api/v1/results?client_id=${client.client_id}`)).toMatchObject({ items: [] });
    expect((await admin.send("GET", `/api/v1/results/${client.client_id}.2`)).status).toBe(404);
    agent.send({
      type: "upload",
      ...upload(1, 4, { results: [pingResult(1), pingResult(2), pingResult(4)], hosts: [hostSample(3)] }),
    });
    expect(await agent.next("ack")).toEqual({ type: "ack", to: 4 });
    expect((await told(socket, "result")).result?.seq).toBe(1);
    expect((await told(socket, "result")).result?.seq).toBe(4);
    expect(socket.waiting("result")).toEqual([]);
  });

  test("hears progress and that the agent took its instruction", async () => {
    const { socket: agent } = await connect(client.token);
    const socket = await page();
    agent.send({
      type: "progress",
      run_id: "run-1",
      test_id: "t.p",
      state: "running",
      fraction: 0.5,
      note: "down",
      color: "red",
    });
    agent.send({ type: "instruction_ack", revision: 12 });
    expect(await told(socket, "progress")).toEqual({
      type: "progress",
      client_id: client.client_id,
      run_id: "run-1",
      test_id: "t",
      peer_id: "p",
      state: "running",
      fraction: 0.5,
      note: "down",
    });
    expect(await told(socket, "instruction_ack")).toEqual({ type: "instruction_ack", client_id: client.client_id, revision: 12 });
  });

  test("is answered pong, and what it says changes nothing", async () => {
    const socket = await page();
    await told(socket, "snapshot");
    socket.send({ type: "upload", ...upload(1, 1) });
    socket.send({ type: "hello", version: "1", boot: "b" });
    socket.send("ping");
    await socket.next("pong");
    expect(await admin.get(`/api/v1/clients/${client.client_id}`)).toMatchObject({ last_seq: 0, status: "never_seen" });
  });
});

describe("the live lease", () => {
  test.each<[string, () => Promise<unknown>]>([
    ["opening its page", async () => page()],
    ["reading its results", () => admin.get(`/api/v1/results?client_id=${client.client_id}`)],
    ["reading its series", () => admin.get(`/api/v1/series?client_id=${client.client_id}&metric=cpu_percent`)],
    ["creating a test of it", () => createTest(admin, { client_ids: [client.client_id] })],
  ])("%s makes its agent stream for a minute at least", async (_, look) => {
    const { socket: agent } = await connect(client.token);
    expect(agent.waiting("live")).toEqual([]);
    const [, looked] = await Promise.all([leased(agent), look()]);
    if (looked instanceof Socket) looked.close();
  });

  test("a read waits for the flush that it asked for", async () => {
    const { socket: agent } = await connect(client.token);
    const read = admin.get<{ items: { seq: number }[] }>(`/api/v1/results?client_id=${client.client_id}`);
    await leased(agent);
    agent.send({ type: "upload", ...upload(1, 2) });
    expect((await read).items.map(({ seq }) => seq)).toEqual([2, 1]);
  });

  test("an agent that connects while somebody watches is told with its welcome", async () => {
    await told(await page(), "snapshot");
    const { socket: agent } = await connect(client.token);
    await leased(agent);
  });

  test("an agent without a socket learns of it with its heartbeat", async () => {
    const beat = () => agentOf(client).post<{ live_until: number }>("/api/agent/v1/heartbeat", {});
    expect((await beat()).live_until).toBe(0);
    await admin.get(`/api/v1/results?client_id=${client.client_id}`);
    expect((await beat()).live_until).toBeGreaterThan(Date.now() + 59_000);
  });
});

describe("instructions", () => {
  const instruction = (etag?: string) =>
    agentOf(client).send("GET", "/api/agent/v1/instruction", undefined, etag === undefined ? {} : { "if-none-match": etag });
  const now = async () => (await (await instruction()).json()) as Instruction;

  test("each change of a test is pushed with a higher revision, and what is fetched then shows it", async () => {
    const { socket: agent, welcome } = await connect(client.token);
    let { revision } = welcome.instruction;
    const pushed = async () => {
      const frame = await agent.next<{ type: string; revision: number }>("instruction");
      expect(frame.revision).toBeGreaterThan(revision);
      revision = frame.revision;
      const fetched = await now();
      expect(fetched.revision).toBeGreaterThanOrEqual(revision);
      return fetched.tests;
    };
    const { id } = await createTest(admin, { client_ids: [client.client_id], interval_s: 30 });
    expect(await pushed()).toMatchObject([{ test_id: id, interval_s: 30 }]);
    await admin.send("PATCH", `/api/v1/tests/${id}`, { interval_s: 60, packet_size: 512 });
    expect(await pushed()).toMatchObject([{ interval_s: 60, params: { packet_size: 512 } }]);
    await admin.send("POST", `/api/v1/tests/${id}/pause`);
    expect(await pushed()).toEqual([]);
    await admin.send("POST", `/api/v1/tests/${id}/resume`);
    expect(await pushed()).toMatchObject([{ test_id: id, interval_s: 60 }]);
    await admin.send("PUT", `/api/v1/tests/${id}/clients`, { client_ids: [] });
    expect(await pushed()).toEqual([]);
    await admin.send("PUT", `/api/v1/tests/${id}/clients`, { client_ids: [client.client_id] });
    expect(await pushed()).toMatchObject([{ test_id: id }]);
    await admin.send("DELETE", `/api/v1/tests/${id}`);
    expect(await pushed()).toEqual([]);
  });

  test("a change of the client's tags changes what selectors give it, at once", async () => {
    const { socket: agent } = await connect(client.token);
    const { id } = await createTest(admin, { selector: { tags: { role: "probe" } } });
    await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { tags: { role: "probe" } });
    await agent.next("instruction");
    expect((await now()).tests.map((one) => one.test_id)).toContain(id);
    await admin.send("DELETE", `/api/v1/tests/${id}`);
  });

  test("the ETag is the revision: unchanged is 304, changed is 200", async () => {
    const first = await instruction();
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toBe(`"${((await first.json()) as Instruction).revision}"`);
    const same = await instruction(etag);
    expect([same.status, await same.text()]).toEqual([304, ""]);
    const { id } = await createTest(admin, { client_ids: [client.client_id] });
    const changed = await instruction(etag);
    expect(changed.status).toBe(200);
    expect(((await changed.json()) as Instruction).tests).toMatchObject([{ test_id: id }]);
  });

  test("a client that is not concerned is left in peace", async () => {
    const other = await register();
    const { socket: agent } = await connect(client.token);
    await createTest(admin, { client_ids: [other.client_id] });
    agent.send("ping");
    await agent.next("pong");
    expect(agent.waiting("instruction")).toEqual([]);
  });
});

describe("a run", () => {
  let id: string;
  beforeEach(async () => {
    id = (await createTest(admin, { client_ids: [client.client_id] })).id;
  });
  const order = () => admin.post<{ run_id: string }>(`/api/v1/tests/${id}/run`, undefined);
  const status = async () => (await admin.get<{ status: string }>(`/api/v1/clients/${client.client_id}`)).status;
  const inFleet = async () => {
    const { clients } = await admin.get<{ clients: { id: string; status: string }[] }>("/api/v1/fleet");
    return clients.find((one) => one.id === client.client_id)?.status;
  };

  test("reaches the agent, shows as testing, and is over with its result", async () => {
    const { socket: agent } = await connect(client.token);
    const socket = await page();
    const { run_id } = await order();
    expect(edgeFrameSchema.parse(await agent.next("run"))).toEqual({ type: "run", run_id, test_id: id });
    await told(socket, "status", (frame) => frame.status === "testing");
    expect([await status(), await inFleet()]).toEqual(["testing", "testing"]);
    agent.send({ type: "upload", ...upload(1, 1, { results: [pingResult(1, { test_id: id, run_id })] }) });
    await told(socket, "status", (frame) => frame.status === "online");
    expect([await status(), await inFleet()]).toEqual(["online", "online"]);
    expect(await admin.get(`/api/v1/results/${client.client_id}.1`)).toMatchObject({ run_id, test_id: id });
  });

  test("is over with the live copy of its result already", async () => {
    const { socket: agent } = await connect(client.token);
    const socket = await page();
    const { run_id } = await order();
    await told(socket, "status", (frame) => frame.status === "testing");
    agent.send({ type: "sample", result: pingResult(1, { test_id: id, run_id }) });
    await told(socket, "status", (frame) => frame.status === "online");
    expect(await status()).toBe("online");
  });

  test("waits for an agent that is away, on its socket or its heartbeat", async () => {
    const { run_id } = await order();
    expect(await agentOf(client).post("/api/agent/v1/heartbeat", {})).toMatchObject({ runs: [{ run_id, test_id: id }] });
    expect(await agentOf(client).post("/api/agent/v1/heartbeat", {})).toMatchObject({ runs: [] });
    const second = await order();
    const { socket: agent } = await connect(client.token);
    expect(await agent.next("run")).toMatchObject({ run_id: second.run_id });
  });
});

describe("the fleet", () => {
  test("page gets every client first, then new ones and new figures as they come", async () => {
    const { id } = await createTest(admin, { selector: { tags: { fleet: "watched" } } });
    const socket = await page("fleet/live");
    const { clients } = await told(socket, "snapshot");
    expect(clients?.map((one) => one.id)).toContain(client.client_id);
    const fresh = await register({ name: "Fresh", tags: { fleet: "watched" } });
    const appeared = await told(socket, "status", (frame) => frame.client_id === fresh.client_id);
    expect(appeared.client).toMatchObject({ name: "Fresh", status: "never_seen", spark: [] });
    const { socket: agent } = await connect(fresh.token);
    await leased(agent);
    await told(socket, "status", (frame) => frame.client_id === fresh.client_id && frame.status === "online");
    agent.send({
      type: "upload",
      ...upload(1, 2, { results: [pingResult(1, { test_id: id }), pingResult(2, { test_id: id })] }),
    });
    const line = (frame: Kind<"status"> | Kind<"summary">) =>
      frame.client?.id === fresh.client_id && frame.client.spark.length > 0;
    const figures = await Promise.race([told(socket, "status", line), told(socket, "summary", line)]);
    expect(figures.client).toMatchObject({
      spark: [0.05, 0.05],
      headline: { ping_rtt_median: 0.05, ping_loss_pct: 0 },
      failing: 0,
    });
  });

  test("counts a test whose newest result failed, and forgets the failure with the next good one", async () => {
    const { id }: Test = await createTest(admin, { client_ids: [client.client_id] });
    const socket = await page("fleet/live");
    const error = { code: "no_reply", source: "target", message: "no reply" };
    const failed = pingResult(1, {
      test_id: id,
      status: "failed",
      error,
      metrics: { ping_sent: 5, ping_received: 0, ping_rtt_median: null },
    });
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 1, { results: [failed] }));
    const mine = (failing: number) => (frame: Kind<"status">) =>
      frame.client?.id === client.client_id && frame.client.failing === failing && frame.client.measured_at !== null;
    expect((await told(socket, "status", mine(1))).client).toMatchObject({ spark: [null], headline: { ping_rtt_median: null } });
    await agentOf(client).post("/api/agent/v1/upload", upload(2, 2, { results: [pingResult(2, { test_id: id })] }));
    expect((await told(socket, "status", mine(0))).client).toMatchObject({ spark: [null, 0.05] });
  });
});

describe("an upgrade", () => {
  test.each(["fleet/live", "clients/ID/live"])(
    "of %s is refused without a session, from another site, or without a socket",
    async (name) => {
      const path = `/api/v1/${name.replace("ID", client.client_id)}`;
      const up = { upgrade: "websocket" };
      const stranger = await fetchEdge(path, { headers: up });
      expect([stranger.webSocket, await problemOf(stranger)]).toMatchObject([null, { status: 401, code: "unauthenticated" }]);
      const foreign = await fetchEdge(path, { headers: { ...admin.headers, ...up, origin: "https://evil.example" } });
      expect([foreign.webSocket, await problemOf(foreign)]).toMatchObject([null, { status: 403, code: "bad_origin" }]);
      const plain = await fetchEdge(path, { headers: admin.headers });
      expect(await problemOf(plain)).toMatchObject({ status: 400 });
    },
  );

  test("of a client that is not there is 404", async () => {
    const response = await admin.send("GET", "/api/v1/clients/0000000000000000/live", undefined, { upgrade: "websocket" });
    expect(await problemOf(response)).toMatchObject({ status: 404 });
  });
});
