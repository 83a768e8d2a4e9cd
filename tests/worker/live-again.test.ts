// What goes on though an object left memory, a page stayed open for long, or a client went away for good.
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ClientDetail, Fleet, FleetClient } from "#contract/api";
import type { HeartbeatReply, RegisterReply } from "#contract/wire";
import { fleet } from "../../worker/env.ts";
import { type Asker, agentOf, asAdmin, connect, createTest, hostSample, ORIGIN, register, Socket, told } from "./edge.ts";
import { dumpD1, edgeEnv, evict } from "./inside.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});
afterEach(() => {
  vi.useRealTimers();
});

const look = (path: string): Promise<Socket> => Socket.open(`/api/v1/${path}`, { ...admin.headers, origin: ORIGIN });
const detail = () => admin.get<ClientDetail>(`/api/v1/clients/${client.client_id}`);
const mine = (line: Pick<FleetClient, "id"> | undefined) => line?.id === client.client_id;

/** Ids in the first frame of a fresh look at the fleet. */
async function inFleet(): Promise<string[]> {
  const socket = await look("fleet/live");
  const { clients = [] } = await told(socket, "snapshot");
  socket.close();
  return clients.map(({ id }) => id);
}

describe("a client's object thrown out of memory", () => {
  test("shows a live sample in the watched fleet again", async () => {
    const { socket: agent } = await connect(client.token);
    await vi.waitFor(async () => expect(await detail()).toMatchObject({ status: "online" }));
    const watcher = await look("fleet/live");
    await agent.next("live");
    for (const cpu_percent of [41, 42, 43]) {
      await evict(client.client_id);
      agent.send({ type: "sample", host: hostSample(cpu_percent, { metrics: { cpu_percent } }) });
      const { client: line } = await told(watcher, "summary", (one) => mine(one.client) && one.client.measured_at !== null);
      expect(line.headline).toMatchObject({ cpu_percent });
    }
    watcher.close();
  });

  test("still hands the run that somebody ordered to an agent without a socket, once", async () => {
    const beat = async () => (await agentOf(client).post<HeartbeatReply>("/api/agent/v1/heartbeat", {})).runs;
    const { id } = await createTest(admin, { client_ids: [client.client_id] });
    expect(await beat()).toEqual([]);
    const order = () => admin.post<{ run_id: string }>(`/api/v1/tests/${id}/run`, undefined);
    const { run_id } = await order();
    await evict(client.client_id);
    const second = await order();
    await evict(client.client_id);
    expect(await beat()).toEqual([
      { run_id, test_id: id },
      { run_id: second.run_id, test_id: id },
    ]);
    expect(await beat()).toEqual([]);
    await evict(client.client_id);
    expect(await beat()).toEqual([]);
  });
});

test("a run of a paused test brings along what to run, though its object left memory", async () => {
  const { id } = await createTest(admin, { client_ids: [client.client_id], params: { count: 3 } });
  await admin.send("POST", `/api/v1/tests/${id}/pause`);
  const { run_id } = await admin.post<{ run_id: string }>(`/api/v1/tests/${id}/run`, undefined);
  await evict(client.client_id);
  const reply = await agentOf(client).post<HeartbeatReply>("/api/agent/v1/heartbeat", {});
  const job = { type: "ping", destination: "127.0.0.1", params: expect.objectContaining({ count: 3, packet_size: 64 }) };
  expect(reply.runs).toEqual([{ run_id, test_id: id, job }]);
});

describe("an agent that greets with", () => {
  const shows = (seen: object) =>
    vi.waitFor(async () => {
      expect(await detail()).toMatchObject(seen);
      const row = (await dumpD1()).client?.find((text) => text.includes(client.client_id));
      expect(row).toContain(`"version":"${(await detail()).version}"`);
    });

  test("a newer version and other capabilities is shown with them, also after the next eviction", async () => {
    expect(await detail()).toMatchObject({ version: "0.1.0", capabilities: { ping: "iputils 20221126" } });
    const capabilities = { ping: "iputils 20240905", df: true, dscp: null };
    const { socket } = await connect(client.token, "boot-1", { version: "0.2.0", capabilities });
    await shows({ version: "0.2.0", capabilities });
    socket.close();
    await socket.closed;
    await evict(client.client_id);
    await connect(client.token, "boot-2", { version: "0.1.9", capabilities: { ping: null } });
    await shows({ version: "0.1.9", capabilities: { ping: null } });
  });

  test("no capabilities at all keeps the known ones", async () => {
    await connect(client.token, "boot-1", { version: "0.2.0" });
    await shows({ version: "0.2.0", capabilities: { ping: "iputils 20221126" } });
  });
});

describe("a client that went away for good", () => {
  const line = async () => {
    const found = (await admin.get<Fleet>("/api/v1/fleet")).clients.find(mine);
    if (found === undefined) throw new Error("the client is not in the fleet");
    return found;
  };
  const gone = (socket: Socket) => told(socket, "gone", ({ client_id }) => client_id === client.client_id);

  test("when deleted, is not brought back by what it was still saying", async () => {
    const { socket: agent } = await connect(client.token);
    const watcher = await look("fleet/live");
    const last = await line();
    expect(await inFleet()).toContain(client.client_id);
    expect((await admin.send("DELETE", `/api/v1/clients/${client.client_id}`)).status).toBe(204);
    await gone(watcher);
    expect((await agent.closed).code).toBe(4001);
    watcher.close();
    const fresh = await look("fleet/live");
    await told(fresh, "snapshot");
    for (const changed of [true, false]) expect(await fleet(edgeEnv).report(last, changed)).toEqual({ watched_until: 0 });
    // The page hears of the next client, and of this one nothing.
    const other = await register();
    expect(await told(fresh, "status")).toMatchObject({ client_id: other.client_id });
    expect(fresh.waiting("summary").filter((frame) => mine(frame.client as FleetClient))).toEqual([]);
    expect(await inFleet()).not.toContain(client.client_id);
    fresh.close();
  });

  test("when retired, is gone from the fleet and stays so", async () => {
    const { socket: agent } = await connect(client.token);
    await vi.waitFor(async () => expect(await detail()).toMatchObject({ status: "online" }));
    const watcher = await look("fleet/live");
    const reply = await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { status: "retired" });
    expect(reply.status).toBe(200);
    await gone(watcher);
    expect((await agent.closed).code).toBe(4001);
    expect(await inFleet()).not.toContain(client.client_id);
    expect((await admin.get<Fleet>("/api/v1/fleet")).clients.find(mine)).toBeUndefined();
    watcher.close();
  });
});

describe("a page that stays open", () => {
  /** Moves the clock that the Worker reads. */
  function later(seconds: number): void {
    if (!vi.isFakeTimers()) vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    vi.setSystemTime(Date.now() + seconds * 1000);
  }
  const tell = {
    "clients/ID/live": async (agent: Socket, seq: number) => agent.send({ type: "sample", host: hostSample(seq) }),
    "fleet/live": async () => register(),
  };

  test.each(["clients/ID/live", "fleet/live"] as const)("%s has to connect again after ten minutes", async (name) => {
    const path = name.replace("ID", client.client_id);
    const { socket: agent } = await connect(client.token);
    const old = await look(path);
    await told(old, "snapshot");
    later(599);
    await tell[name](agent, 1);
    // It never sent a `ping`, and is told all the same.
    await (name === "fleet/live" ? told(old, "status") : told(old, "result"));
    later(2);
    await tell[name](agent, 2);
    expect(await old.closed).toEqual({ code: 4000, reason: "connect again" });
    const renewed = await look(path);
    await told(renewed, "snapshot");
    await tell[name](agent, 3);
    await (name === "fleet/live" ? told(renewed, "status") : told(renewed, "result"));
    renewed.close();
  });
});
