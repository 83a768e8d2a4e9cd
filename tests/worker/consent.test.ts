// What a host's owner allows, as its agent tells it: kept, shown, and changed by nobody but the agent.
import { beforeAll, describe, expect, test } from "vitest";
import type { ClientDetail } from "#contract/api";
import type { HeartbeatReply, RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, register, registration, upload } from "./edge.ts";
import { changesOf } from "./inside.ts";

let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

const CONSENT = {
  types: ["ping", "dns"],
  destinations: ["10.0.0.0/8", "*.example.com"],
  forbidden_destinations: ["10.66.0.0/16"],
  min_interval_s: 10,
  max_packets_per_s: 50,
  max_bytes_per_run: 1_000_000,
  max_bytes_per_day: 50_000_000,
  reflector: false,
  self_test: true,
};

const detail = ({ client_id }: RegisterReply) => admin.get<ClientDetail>(`/api/v1/clients/${client_id}`);
const shown = async (client: RegisterReply) => (await detail(client)).consent;
const beat = (client: RegisterReply, body: object = {}) =>
  agentOf(client).post<HeartbeatReply>("/api/agent/v1/heartbeat", { version: "0.1.0", boot: "b", ...body });
const becomes = (client: RegisterReply, consent: unknown) => expect.poll(() => shown(client), { timeout: 5000 }).toEqual(consent);

describe("is told", () => {
  test("with the registration: a file, none, or nothing at all", async () => {
    expect(await shown(await register({ consent: CONSENT }))).toEqual(CONSENT);
    expect(await shown(await register({ consent: {} }))).toEqual({});
    expect(await shown(await register({ consent: null }))).toBeNull();
    expect(await shown(await register())).toBeNull();
  });

  test("anew when the installation comes back; kept when it does not tell", async () => {
    const body = registration({ consent: CONSENT });
    const first = await register(body);
    const again = await register({ ...body, proof: first.token, consent: undefined });
    expect([again.client_id, await shown(again)]).toEqual([first.client_id, CONSENT]);
    const changed = await register({ ...body, proof: again.token, consent: { types: [] } });
    expect(await shown(changed)).toEqual({ types: [] });
    expect(await shown(await register({ ...body, proof: changed.token, consent: null }))).toBeNull();
  });

  test("over a socket: with the greeting, and when the file changes", async () => {
    const client = await register({ consent: null });
    const { socket } = await connect(client.token, "boot", { consent: CONSENT });
    await becomes(client, CONSENT);
    socket.send({ type: "consent", consent: { types: ["ping"], problem: "--consent c.json: line 3: types is text" } });
    await becomes(client, { types: ["ping"], problem: "--consent c.json: line 3: types is text" });
    socket.send({ type: "consent", consent: null });
    await becomes(client, null);
    socket.close();
  });

  test("over HTTPS with the heartbeat; a greeting without it changes nothing", async () => {
    const client = await register();
    await beat(client, { consent: CONSENT });
    expect(await shown(client)).toEqual(CONSENT);
    await beat(client);
    expect(await shown(client)).toEqual(CONSENT);
    await beat(client, { consent: { ...CONSENT, rules_untold: 12 } });
    expect(await shown(client)).toEqual({ ...CONSENT, rules_untold: 12 });
    await beat(client, { consent: null });
    expect(await shown(client)).toBeNull();
  });

  test("by a newer agent too: what this edge does not know is left out", async () => {
    const client = await register({ consent: { types: ["ping", "telepathy"], max_thoughts_per_s: 3 } });
    expect(await shown(client)).toEqual({ types: ["ping", "telepathy"] });
  });
});

describe("a report that cannot be read", () => {
  test.each<[string, unknown]>([
    ["text", "everything"],
    ["a number", 7],
    ["a list", [CONSENT]],
    ["a setting of the wrong kind", { ...CONSENT, types: "ping" }],
    ["a rule that is none", { destinations: [{ $ne: null }] }],
    ["a rule without end", { destinations: ["x".repeat(100_000)] }],
    ["rules without end", { destinations: new Array(5000).fill("10.0.0.0/8") }],
    ["more rules than an agent tells", { destinations: new Array(101).fill("10.0.0.0/8") }],
    ["a negative limit", { max_bytes_per_day: -1 }],
    ["a problem without end", { problem: "x".repeat(5000) }],
  ])("%s is dropped and counted, and the greeting stands", async (_, consent) => {
    const client = await register({ consent: CONSENT });
    const before = (await detail(client)).ignored;
    expect((await beat(client, { consent, version: "0.2.0" })).last_seq).toBe(0);
    expect(await detail(client)).toMatchObject({ consent: CONSENT, version: "0.2.0", ignored: before + 1 });
    const { socket, welcome } = await connect(client.token, "boot", { consent, version: "0.3.0" });
    expect(welcome.last_seq).toBe(0);
    await expect.poll(async () => (await detail(client)).version, { timeout: 5000 }).toBe("0.3.0");
    socket.send({ type: "consent", consent });
    socket.send({ type: "upload", ...upload(1, 1) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: 1 });
    expect(await detail(client)).toMatchObject({ consent: CONSENT, ignored: before + 3 });
    socket.close();
  });

  test("does not keep an installation from registering", async () => {
    expect(await shown(await register({ consent: { types: 5 } }))).toBeNull();
  });
});

test("an agent that says something else with every frame does not cost rows with every frame", async () => {
  const client = await register({ consent: null });
  const { socket } = await connect(client.token);
  await becomes(client, null);
  const before = await changesOf(client.client_id);
  for (let i = 0; i < 60; i++) {
    socket.send({ type: "consent", consent: { min_interval_s: i } });
    socket.send({ type: "capabilities", version: "0.1.0", capabilities: { ping: `version ${i}` } });
  }
  socket.send({ type: "upload", ...upload(1, 1) });
  await socket.next("ack");
  await expect.poll(() => shown(client), { timeout: 5000 }).not.toBeNull();
  expect((await changesOf(client.client_id)) - before).toBeLessThanOrEqual(15);
  expect((await shown(client))?.min_interval_s).toBeLessThan(20);
  socket.close();
});

test("nobody but the agent changes it", async () => {
  const client = await register({ consent: CONSENT });
  const patched = await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { consent: null });
  expect(patched.status).toBe(422);
  await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { name: "renamed", site: "Oslo" });
  expect(await detail(client)).toMatchObject({ name: "renamed", consent: CONSENT });
  const other = await register({ consent: null });
  await beat(other, { client_id: client.client_id, consent: {} });
  expect([await shown(client), await shown(other)]).toEqual([CONSENT, {}]);
  expect(JSON.stringify(await agentOf(client).get("/api/agent/v1/instruction"))).not.toContain("consent");
});
