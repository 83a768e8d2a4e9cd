// What an agent says of its outbox while no upload can carry it: a disk that takes nothing, and what was lost.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ClientDetail } from "#contract/api";
import { CLOSE } from "#contract/limits";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, ORIGIN, register, Socket, told, upload } from "./edge.ts";
import { changesOf, evict } from "./inside.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});

const detail = () => admin.get<ClientDetail>(`/api/v1/clients/${client.client_id}`);
const full = { depth: 190, dropped: 40, problem: "disk_full" };
const well = { depth: 0, dropped: 40, problem: null };

/** Frames are handled in order: the answer to one tells that those before it were. */
async function handled(socket: Socket): Promise<void> {
  socket.send({ type: "upload", ...upload(99, 99) });
  await socket.next("need");
}

describe("over a socket", () => {
  test("news of the outbox shows at once, outlasts the object's sleep, and costs no row", async () => {
    const { socket } = await connect(client.token);
    const page = await Socket.open(`/api/v1/clients/${client.client_id}/live`, { ...admin.headers, origin: ORIGIN });
    await told(page, "snapshot");
    const before = await changesOf(client.client_id);
    socket.send({ type: "outbox", outbox: full });
    expect((await told(page, "status", ({ outbox }) => outbox !== undefined)).outbox).toEqual(full);
    for (let lost = 41; lost <= 60; lost++) socket.send({ type: "outbox", outbox: { ...full, dropped: lost } });
    await handled(socket);
    expect(await changesOf(client.client_id)).toBe(before);
    await evict(client.client_id);
    expect((await detail()).outbox).toEqual({ ...full, dropped: 60 });
  });

  test("an upload brings newer figures; a page hears that the trouble is over", async () => {
    const { socket } = await connect(client.token, "boot", { outbox: full });
    expect((await detail()).outbox).toEqual(full);
    const page = await Socket.open(`/api/v1/clients/${client.client_id}/live`, { ...admin.headers, origin: ORIGIN });
    expect((await told(page, "snapshot")).client?.outbox).toEqual(full);
    socket.send({ type: "upload", ...upload(1, 2, { outbox: well }) });
    await socket.next("ack");
    expect((await told(page, "status", ({ outbox }) => outbox !== undefined)).outbox).toEqual(well);
    await evict(client.client_id);
    expect((await detail()).outbox).toEqual(well);
  });

  test("a word this edge does not know is passed on, nonsense is refused", async () => {
    const { socket } = await connect(client.token);
    socket.send({ type: "outbox", outbox: { ...full, problem: "quota_reached", more: 1 } });
    await handled(socket);
    expect((await detail()).outbox).toEqual({ ...full, problem: "quota_reached" });
    socket.send({ type: "outbox", outbox: { depth: -1, dropped: 0 } });
    expect(await socket.closed).toMatchObject({ code: CLOSE.protocol, reason: expect.stringContaining("outbox.outbox.depth") });
  });

  test("what an agent can do is told again without a new greeting", async () => {
    const { socket } = await connect(client.token, "boot", { capabilities: { ping: "iputils 20221126", mtr: null } });
    socket.send({ type: "capabilities", version: "0.1.0", capabilities: { ping: null, mtr: "0.95" } });
    // D1 keeps it, for which the next frame does not wait.
    await expect.poll(detail).toMatchObject({ version: "0.1.0", capabilities: { ping: null, mtr: "0.95" } });
  });
});

test("over HTTPS only: a heartbeat tells it, and the object's sleep does not forget it", async () => {
  const beat = (outbox: unknown) => agentOf(client).post("/api/agent/v1/heartbeat", { outbox });
  await beat(full);
  await evict(client.client_id);
  expect((await detail()).outbox).toEqual(full);
  const before = await changesOf(client.client_id);
  for (let lost = 41; lost <= 45; lost++) await beat({ ...full, dropped: lost });
  // Each heartbeat writes what it always does: when it was heard.
  expect((await changesOf(client.client_id)) - before).toBeLessThanOrEqual(5);
  expect((await detail()).outbox.dropped).toBe(45);
  await beat(well);
  await evict(client.client_id);
  expect((await detail()).outbox.problem).toBeNull();
});

test("an older agent says nothing of a problem", async () => {
  await connect(client.token, "boot", { outbox: { depth: 2, dropped: 1 } });
  expect((await detail()).outbox).toEqual({ depth: 2, dropped: 1, problem: null });
});
