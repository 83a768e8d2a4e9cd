// Whether a client is there: greeting, goodbye, grace, silence, heartbeats over HTTPS; everywhere it is shown.
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Client, ClientDetail, Fleet } from "#contract/api";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, register, Socket, upload } from "./edge.ts";
import { alarmOf, dumpD1, evict, evictFleet, runAlarm } from "./inside.ts";

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

/** Moves the clock that the Worker reads, not the one that fires alarms. */
function later(seconds: number): void {
  if (!vi.isFakeTimers()) vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  vi.setSystemTime(Date.now() + seconds * 1000);
}

const detail = () => admin.get<ClientDetail>(`/api/v1/clients/${client.client_id}`);

/** Waits until client page, client list, fleet and D1 all say the same. */
async function everywhere(status: string, reason: string): Promise<void> {
  await vi.waitFor(async () => {
    const { items } = await admin.get<{ items: Client[] }>("/api/v1/clients");
    const { clients } = await admin.get<Fleet>("/api/v1/fleet");
    const row = (await dumpD1()).client?.map((text) => JSON.parse(text)).find(({ id }) => id === client.client_id);
    for (const one of [await detail(), items.find(mine), clients.find(mine), row]) {
      expect(one).toMatchObject({ status, status_reason: reason });
    }
  });
}
const mine = ({ id }: { id: string }) => id === client.client_id;

async function online(boot?: string): Promise<Socket> {
  const { socket } = await connect(client.token, boot);
  await everywhere("online", "connected");
  return socket;
}

test("a registered client was never seen", async () => {
  await everywhere("never_seen", "registered");
  expect((await detail()).last_seen_at).toBeNull();
});

describe("on its socket", () => {
  test("hello makes it online, with the time it was seen", async () => {
    const before = Date.now();
    await online();
    const { status_since, last_seen_at } = await detail();
    expect(Date.parse(status_since)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(last_seen_at ?? "")).toBeGreaterThanOrEqual(before);
    expect((await alarmOf(client.client_id)) ?? 0).toBeLessThanOrEqual(Date.now() + 300_000);
  });

  test("a socket without hello is nobody", async () => {
    const socket = await Socket.open("/api/agent/v1/connect", { authorization: `Bearer ${client.token}` });
    socket.send("ping");
    await socket.next("pong");
    await everywhere("never_seen", "registered");
    socket.close();
  });

  test.each([
    [1000, "stopped", "stopped"],
    [1000, "", "closed"],
    [1001, "", "closed"],
  ])("close %d %j: online through the grace, offline after it", async (code, word, reason) => {
    const socket = await online();
    socket.close(code, word);
    await socket.closed;
    await vi.waitFor(async () => expect((await alarmOf(client.client_id)) ?? Infinity).toBeLessThanOrEqual(Date.now() + 5000));
    expect((await detail()).status).toBe("online");
    expect(await runAlarm(client.client_id)).toBe(true);
    await everywhere("offline", reason);
  });

  test("a goodbye right after the welcome is not lost in the greeting", async () => {
    const { socket } = await connect(client.token);
    socket.close(1000, "stopped");
    await socket.closed;
    await everywhere("online", "connected");
    await vi.waitFor(async () => expect((await alarmOf(client.client_id)) ?? Infinity).toBeLessThanOrEqual(Date.now() + 5000));
    await runAlarm(client.client_id);
    await everywhere("offline", "stopped");
  });

  test("back within the grace, it was never offline", async () => {
    const socket = await online("boot-1");
    const { status_since } = await detail();
    socket.close();
    await socket.closed;
    await connect(client.token, "boot-1");
    await runAlarm(client.client_id);
    await everywhere("online", "connected");
    expect((await detail()).status_since).toBe(status_since);
  });

  test("silence ends it: the alarm closes the socket and says silent, with the last heartbeat as last seen", async () => {
    const socket = await online();
    await evict(client.client_id);
    const beat = Date.now();
    socket.send("ping");
    await socket.next("pong");
    later(60);
    await runAlarm(client.client_id);
    expect((await detail()).status).toBe("online");
    later(60);
    await runAlarm(client.client_id);
    expect((await socket.closed).code).toBe(1001);
    await everywhere("offline", "silent");
    const { last_seen_at } = await detail();
    expect(Date.parse(last_seen_at ?? "")).toBeGreaterThanOrEqual(beat);
    expect(Date.parse(last_seen_at ?? "")).toBeLessThan(beat + 30_000);
  });

  test("the agent of a client given up for silence comes back by itself", async () => {
    await online();
    later(120);
    await runAlarm(client.client_id);
    await everywhere("offline", "silent");
    await online();
  });

  test("thrown out of memory, the object knows its agent, its numbers and its status", async () => {
    const socket = await online();
    socket.send({ type: "upload", ...upload(1, 2) });
    await socket.next("ack");
    await evict(client.client_id);
    socket.send({ type: "upload", ...upload(3, 3) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: 3 });
    await evict(client.client_id);
    await everywhere("online", "connected");
    expect((await detail()).last_seq).toBe(3);
  });

  test("the fleet knows the newest status after it was thrown out of memory", async () => {
    const socket = await online();
    await evictFleet();
    await everywhere("online", "connected");
    socket.close();
    await socket.closed;
    await runAlarm(client.client_id);
    await evictFleet();
    await everywhere("offline", "closed");
  });

  test("watchers of the fleet and of the client are told both changes", async () => {
    const headers = admin.headers;
    const [fleet, page] = [
      await Socket.open("/api/v1/fleet/live", headers),
      await Socket.open(`/api/v1/clients/${client.client_id}/live`, headers),
    ];
    await page.next("snapshot");
    const frame = async (socket: Socket, status: string) => {
      for (;;) {
        const told = await socket.next("status");
        if (told.client_id === client.client_id && told.status === status) return told;
      }
    };
    const socket = await online();
    expect(await frame(fleet, "online")).toMatchObject({ status_reason: "connected", client: { id: client.client_id } });
    expect(await frame(page, "online")).toMatchObject({ status_reason: "connected" });
    socket.close(1000, "stopped");
    await socket.closed;
    await runAlarm(client.client_id);
    expect(await frame(fleet, "offline")).toMatchObject({ status_reason: "stopped" });
    expect(await frame(page, "offline")).toMatchObject({ status_reason: "stopped" });
    for (const watcher of [fleet, page]) watcher.close();
    await Promise.all([fleet.closed, page.closed]);
  });
});

describe("over HTTPS only", () => {
  const beat = () => agentOf(client).post("/api/agent/v1/heartbeat", { outbox: { depth: 3, dropped: 1 } });

  test("a heartbeat makes it online and tells what a welcome tells", async () => {
    expect(await beat()).toMatchObject({ last_seq: 0, live_until: 0, runs: [], revision: expect.any(Number) });
    await everywhere("online", "connected over HTTPS");
    expect((await detail()).outbox).toEqual({ depth: 3, dropped: 1, problem: null });
  });

  test("an upload counts as well", async () => {
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 1));
    await everywhere("online", "connected over HTTPS");
  });

  test("heartbeats keep it online though the object leaves memory in between", async () => {
    await beat();
    for (let minute = 0; minute < 3; minute++) {
      await evict(client.client_id);
      later(60);
      await beat();
      expect((await alarmOf(client.client_id)) ?? 0).toBeGreaterThan(Date.now() + 60_000);
    }
    await everywhere("online", "connected over HTTPS");
  });

  test("missed heartbeats end it", async () => {
    await beat();
    await evict(client.client_id);
    later(91);
    await runAlarm(client.client_id);
    await everywhere("offline", "silent");
    await beat();
    await everywhere("online", "connected over HTTPS");
  });

  test("silence over HTTPS is silence, though a socket said goodbye before", async () => {
    const socket = await online();
    socket.close(1000, "stopped");
    await socket.closed;
    await beat();
    later(91);
    await runAlarm(client.client_id);
    await everywhere("offline", "silent");
  });
});
