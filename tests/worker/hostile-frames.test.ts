// Frames no honest agent sends. Each closes its own socket at most; the client's honest agent is served all the while.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RegisterReply } from "#contract/wire";
import { Asker, agentOf, asAdmin, connect, hostSample, pingResult, register, Socket, upload } from "./edge.ts";
import { ringRows } from "./inside.ts";

let admin: Asker;
let client: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register();
});

const open = () => Socket.open("/api/agent/v1/connect", { authorization: `Bearer ${client.token}` });
const hello = (change: object = {}) => ({ type: "hello", version: "0.1.0", boot: "boot-1", ...change });
const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

/** The honest agent of the same client connects and uploads; nothing else was stored. */
async function servesItsClient(): Promise<void> {
  expect(await ringRows(client.client_id)).toBe(0);
  const { socket, welcome } = await connect(client.token);
  expect(welcome.last_seq).toBe(0);
  socket.send({ type: "upload", ...upload(1, 2) });
  expect(await socket.next("ack")).toEqual({ type: "ack", to: 2 });
  socket.close();
}

describe("before hello", () => {
  test.each<[string, string, number]>([
    ["not JSON", "hello", 4003],
    ["an array", "[]", 4003],
    ["a number", "42", 4003],
    ["null", "null", 4003],
    ["an empty frame", "", 4003],
    ["an object without a type", "{}", 4003],
    ["a type that is no text", '{"type":{"$gt":""}}', 4003],
    ["nesting without end", `{"type":"hello","version":${deep(100_000)}}`, 4003],
    ["a hello without a boot", JSON.stringify(hello({ boot: undefined })), 4003],
    ["a hello whose fault is named in many bytes", JSON.stringify(hello({ capabilities: { ["é".repeat(100)]: "x" } })), 4003],
    ["an upload", JSON.stringify({ type: "upload", ...upload(1, 1) }), 4003],
    ["a live sample", JSON.stringify({ type: "sample", result: pingResult(1) }), 4003],
    ["more than 256 KiB", JSON.stringify(hello({ padding: "x".repeat(300 * 1024) })), 1009],
    ["more than 256 KiB in two-byte letters", JSON.stringify(hello({ padding: "é".repeat(200 * 1024) })), 1009],
  ])("%s", async (_, frame, code) => {
    const socket = await open();
    socket.send(frame);
    expect((await socket.closed).code).toBe(code);
    await servesItsClient();
  });

  test("binary frames", async () => {
    const socket = await open();
    socket.sendBytes(new Uint8Array([0, 1, 2]));
    expect((await socket.closed).code).toBe(4003);
    await servesItsClient();
  });

  test("types of Object.prototype and of a newer agent are ignored", async () => {
    const socket = await open();
    for (const type of ["constructor", "__proto__", "hasOwnProperty", "telemetry_v9"]) socket.send({ type });
    socket.send(hello());
    expect(await socket.next("welcome")).toMatchObject({ last_seq: 0 });
    socket.close();
    await servesItsClient();
  });
});

describe("after hello", () => {
  test.each<[string, object]>([
    ["to before from", { from: 5, to: 4 }],
    ["600 items", { from: 1, to: 600, results: Array.from({ length: 600 }, (_, index) => ({ seq: index + 1 })) }],
    ["numbers beyond counting", { from: 1, to: Number.MAX_SAFE_INTEGER + 1 }],
    ["a negative number", { from: -1, to: 1 }],
    ["results that are no list", { results: { length: 1 } }],
    ["101 dropped ranges", { dropped: Array(101).fill([1, 1]) }],
  ])("an upload with %s closes the socket and stores nothing", async (_, change) => {
    const { socket } = await connect(client.token);
    socket.send({ type: "upload", ...upload(1, 1), ...change });
    expect((await socket.closed).code).toBe(4003);
    await servesItsClient();
  });

  test("answers to checks nobody made, senseless progress and unreadable samples change nothing", async () => {
    const { socket } = await connect(client.token);
    socket.send({ type: "here", nonce: "guess" });
    socket.send({ type: "sample", result: { seq: 1, type: 5 }, host: "none" });
    socket.send({ type: "progress", state: "finished", run_id: "no-such-run" });
    socket.send({ type: "upload", ...upload(1, 1) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: 1 });
    expect(await admin.get(`/api/v1/clients/${client.client_id}/ledger`)).toMatchObject({ results: 1, rejected: 0, missing: [] });
  });

  test("times and durations that no calendar holds are kept aside and break no page", async () => {
    const results = [
      pingResult(1, { duration_ms: 1e300 }),
      pingResult(2, { started_at: 8.64e15 }),
      pingResult(3, { started_at: -1 }),
      pingResult(4),
    ];
    const hosts = [hostSample(5, { started_at: Number.MAX_SAFE_INTEGER })];
    client = await register({ tags: { streamswarm: "local" } });
    const { socket } = await connect(client.token);
    socket.send({ type: "upload", ...upload(1, 5, { results, hosts }) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: 5 });
    const shown = await admin.get<{ rejected: { count: number }; latest: { seq: number }[] }>(
      `/api/v1/clients/${client.client_id}`,
    );
    expect(shown.rejected.count).toBe(4);
    const { items } = await admin.get<{ items: { seq: number }[] }>(`/api/v1/results?client_id=${client.client_id}`);
    expect(items.map(({ seq }) => seq)).toEqual([4]);
    const { clients } = await admin.get<{ clients: { id: string; measured_at: string }[] }>("/api/v1/fleet");
    expect(clients.find(({ id }) => id === client.client_id)?.measured_at).toMatch(/^20\d\d-/);
  });
});

test("an item nested without end is refused over HTTPS as well, and what was stored stays readable", async () => {
  const text = JSON.stringify(upload(1, 1, { results: [pingResult(1, { detail: { deep: "@" } })] })).replace('"@"', deep(50_000));
  const response = await agentOf(client).send("POST", "/api/agent/v1/upload", text);
  expect([response.status, response.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
  await servesItsClient();
});

test("a socket of one client never writes another's results, whatever the frame says", async () => {
  const other = await register();
  const { socket } = await connect(client.token);
  socket.send({ type: "upload", ...upload(1, 1), client_id: other.client_id, token: other.token });
  await socket.next("ack");
  const reply = await agentOf(client).send("POST", "/api/agent/v1/upload", { ...upload(2, 2), client_id: other.client_id });
  expect(await reply.json()).toEqual({ ack: 2 });
  expect(await ringRows(other.client_id)).toBe(0);
  expect(await admin.get(`/api/v1/clients/${client.client_id}/ledger`)).toMatchObject({ last_seq: 2, results: 2 });
  expect(await admin.get(`/api/v1/clients/${other.client_id}/ledger`)).toMatchObject({ last_seq: 0, results: 0 });
});

test("a wrong, altered or absent token opens nothing, and a failed upgrade says why", async () => {
  const other = await register();
  const [, mine = ""] = /^(ssa_.+_\d+)_/.exec(client.token) ?? [];
  const forged = {
    "another client's signature": `${mine}_${other.token.slice(-43)}`,
    "another client's id": client.token.replace(client.client_id, other.client_id),
    "a later epoch": client.token.replace(/_1_/, "_2_"),
    "one letter changed": client.token.slice(0, -2) + (client.token.at(-2) === "A" ? "B" : "A") + client.token.at(-1),
    "an enrolment token": "sse_reusable-enrolment-token-for-tests",
  };
  for (const [name, token] of Object.entries(forged)) {
    const asked = new Asker({ authorization: `Bearer ${token}` });
    for (const path of ["connect", "instruction"]) {
      const response = await asked.send(
        "GET",
        `/api/agent/v1/${path}`,
        undefined,
        path === "connect" ? { upgrade: "websocket" } : {},
      );
      expect([name, path, response.status, response.webSocket]).toEqual([name, path, 401, null]);
      expect(await response.json()).toMatchObject({ code: "bad_token" });
    }
  }
  const none = await new Asker().send("POST", "/api/agent/v1/upload", upload(1, 1));
  expect(await none.json()).toMatchObject({ status: 401, code: "unauthenticated" });
  await servesItsClient();
});
