// One identity, one live agent: copies, restarts, retired and deleted clients.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RegisterReply } from "#contract/wire";
import { Asker, agentOf, asAdmin, connect, problemOf, register, registration, Socket, upload } from "./edge.ts";
import { ringRows } from "./inside.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});

const hello = (boot: string) => ({ type: "hello", version: "0.1.0", boot });

async function greet(who: RegisterReply, boot: string): Promise<Socket> {
  const socket = await Socket.open("/api/agent/v1/connect", { authorization: `Bearer ${who.token}` });
  socket.send(hello(boot));
  return socket;
}

async function answerCheck(socket: Socket): Promise<void> {
  const { nonce } = await socket.next("check");
  socket.send({ type: "here", nonce });
}

async function speaks(socket: Socket, seq: number): Promise<void> {
  socket.send({ type: "upload", ...upload(seq, seq) });
  expect(await socket.next("ack")).toEqual({ type: "ack", to: seq });
}

describe("a second live copy", () => {
  test.concurrent("is turned away when the first answers, and registers anew as another client", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const copy = await greet(own, "boot-2");
    await answerCheck(first);
    expect((await copy.closed).code).toBe(4002);
    await speaks(first, 1);
    const anew = await register();
    expect(anew.client_id).not.toBe(own.client_id);
    expect(anew.last_seq).toBe(0);
  });

  test.concurrent("takes over when the first does not answer: it was a restart", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const restarted = await greet(own, "boot-2");
    await restarted.next("welcome");
    expect((await first.closed).code).toBe(4002);
    await speaks(restarted, 1);
  });

  test.concurrent("of the same boot is the same process coming back, let in at once", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const again = await greet(own, "boot-1");
    await again.next("welcome");
    expect((await first.closed).code).toBe(1000);
    expect(first.waiting("check")).toEqual([]);
    await speaks(again, 1);
  });

  test.concurrent("an answer with a wrong nonce, or from the copy itself, does not count", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const copy = await greet(own, "boot-2");
    const { nonce } = await first.next("check");
    first.send({ type: "here", nonce: `${nonce}x` });
    await copy.next("welcome");
    expect((await first.closed).code).toBe(4002);
  });

  test.concurrent("two copies at once are both turned away by the first one's answers", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const copies = await Promise.all([greet(own, "boot-2"), greet(own, "boot-3")]);
    await answerCheck(first);
    await answerCheck(first);
    expect(await Promise.all(copies.map(async (copy) => (await copy.closed).code))).toEqual([4002, 4002]);
    await speaks(first, 1);
  });

  test.concurrent("two copies at once after a silent first: one gets in, the other is turned away", async () => {
    const own = await register();
    const { socket: first } = await connect(own.token, "boot-1");
    const copies = await Promise.all([greet(own, "boot-2"), greet(own, "boot-3")]);
    const winner = await Promise.race(copies.map((copy) => copy.next("welcome").then(() => copy)));
    const loser = copies.find((copy) => copy !== winner);
    await answerCheck(winner);
    expect((await loser?.closed)?.code).toBe(4002);
    expect((await first.closed).code).toBe(4002);
    await speaks(winner, 1);
  });
});

describe("a client that registered again", () => {
  test("loses the socket of its old token; that token opens nothing", async () => {
    const body = registration();
    const enrolment = new Asker({ authorization: "Bearer sse_reusable-enrolment-token-for-tests" });
    const old = await enrolment.post<RegisterReply>("/api/agent/v1/register", body);
    const { socket } = await connect(old.token);
    const renewed = await enrolment.post<RegisterReply>("/api/agent/v1/register", { ...body, proof: old.token });
    expect(renewed.client_id).toBe(old.client_id);
    expect((await socket.closed).code).toBe(4002);
    const refused = await agentOf(old).send("POST", "/api/agent/v1/upload", upload(1, 1));
    expect(await problemOf(refused)).toMatchObject({ status: 401, code: "token_revoked" });
    expect(await agentOf(renewed).post("/api/agent/v1/upload", upload(1, 1))).toEqual({ ack: 1 });
  });
});

/** What the client's token may still do. */
async function doors(): Promise<Record<string, string>> {
  const agent = agentOf(client);
  const tries: Record<string, Response> = {
    upload: await agent.send("POST", "/api/agent/v1/upload", upload(9, 9)),
    heartbeat: await agent.send("POST", "/api/agent/v1/heartbeat", {}),
    instruction: await agent.send("GET", "/api/agent/v1/instruction"),
    connect: await agent.send("GET", "/api/agent/v1/connect", undefined, { upgrade: "websocket" }),
  };
  const said: Record<string, string> = {};
  for (const [name, response] of Object.entries(tries)) {
    const { status, code } = await problemOf(response);
    said[name] = `${status} ${code}`;
  }
  return said;
}

describe("a retired client", () => {
  test("is cut off at once, on the socket and over HTTPS; its history stays", async () => {
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 3));
    const { socket } = await connect(client.token);
    const reply = await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { status: "retired" });
    expect(await reply.json()).toMatchObject({ status: "retired", status_reason: "retired" });
    expect((await socket.closed).code).toBe(4001);
    const revoked = "401 token_revoked";
    expect(await doors()).toEqual({ upload: revoked, heartbeat: revoked, instruction: revoked, connect: revoked });
    expect(await admin.get(`/api/v1/clients/${client.client_id}`)).toMatchObject({ status: "retired", last_seq: 3 });
    expect(await admin.get(`/api/v1/results/${client.client_id}.2`)).toMatchObject({ seq: 2 });
    const { clients } = await admin.get<{ clients: { id: string }[] }>("/api/v1/fleet");
    expect(clients.map(({ id }) => id)).not.toContain(client.client_id);
  });

  test("does not come back with the proof of its old token", async () => {
    const body = registration();
    const enrolment = new Asker({ authorization: "Bearer sse_reusable-enrolment-token-for-tests" });
    const old = await enrolment.post<RegisterReply>("/api/agent/v1/register", body);
    await admin.send("PATCH", `/api/v1/clients/${old.client_id}`, { status: "retired" });
    const anew = await enrolment.post<RegisterReply>("/api/agent/v1/register", { ...body, proof: old.token });
    expect(anew.client_id).not.toBe(old.client_id);
    expect(await admin.get(`/api/v1/clients/${old.client_id}`)).toMatchObject({ status: "retired" });
  });

  test("stays retired when its agent says hello at the same moment", async () => {
    const socket = await greet(client, "boot-1");
    await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { status: "retired" });
    await socket.closed;
    expect(await admin.get(`/api/v1/clients/${client.client_id}`)).toMatchObject({ status: "retired" });
    expect((await doors()).upload).toBe("401 token_revoked");
  });
});

describe("a deleted client", () => {
  test("is gone: pages are told, the agent is cut off, nothing of it stays", async () => {
    await agentOf(client).post("/api/agent/v1/upload", upload(1, 3));
    const { socket } = await connect(client.token);
    const page = await Socket.open(`/api/v1/clients/${client.client_id}/live`, admin.headers);
    await page.next("snapshot");
    const fleet = await Socket.open("/api/v1/fleet/live", admin.headers);
    expect((await admin.send("DELETE", `/api/v1/clients/${client.client_id}`)).status).toBe(204);
    expect(await page.next("gone")).toEqual({ type: "gone", client_id: client.client_id });
    expect(await fleet.next("gone")).toEqual({ type: "gone", client_id: client.client_id });
    expect((await socket.closed).code).toBe(4001);
    for (const path of [
      `clients/${client.client_id}`,
      `results/${client.client_id}.1`,
      `results?client_id=${client.client_id}`,
    ]) {
      expect((await admin.send("GET", `/api/v1/${path}`)).status).toBe(404);
    }
    expect(await ringRows(client.client_id)).toBe(0);
    const bad = "401 bad_token";
    expect(await doors()).toEqual({ upload: bad, heartbeat: bad, instruction: bad, connect: bad });
  });

  test("and its tests forget it", async () => {
    const { id } = await admin.post<{ id: string }>("/api/v1/tests", {
      name: "t",
      type: "ping",
      destination: "127.0.0.1",
      client_ids: [client.client_id],
    });
    await admin.send("DELETE", `/api/v1/clients/${client.client_id}`);
    expect(await admin.get(`/api/v1/tests/${id}`)).toMatchObject({ client_ids: [], clients: [] });
  });
});
