// Who may do what: roles, API tokens, sites, foreign pages, the switched-off sign-in, and the log of it all.
import { createExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import type { Client, CreatedToken, Fleet, Test } from "#contract/api";
import { app } from "../../worker/app.ts";
import {
  Asker,
  agentOf,
  asAdmin,
  asPerson,
  cookieOf,
  createTest,
  fetchEdge,
  ORIGIN,
  problemOf,
  register,
  Socket,
  upload,
} from "./edge.ts";
import { dumpD1, edgeEnv } from "./inside.ts";

let admin: Asker;
let clientId: string;
let testId: string;

beforeAll(async () => {
  admin = await asAdmin();
  clientId = (await register({ site: "Oslo" })).client_id;
  testId = (await createTest(admin, { client_ids: [clientId] })).id;
});

const newTest = { name: "t", type: "ping", destination: "127.0.0.1" };
/** Doors by the least role that opens them. */
const DOORS: [least: "viewer" | "user" | "admin", method: string, path: () => string, body?: object][] = [
  ["viewer", "GET", () => "/api/v1/clients"],
  ["viewer", "GET", () => `/api/v1/clients/${clientId}`],
  ["viewer", "GET", () => "/api/v1/fleet"],
  ["viewer", "GET", () => "/api/v1/tests"],
  ["viewer", "GET", () => "/api/v1/results"],
  ["viewer", "GET", () => "/api/v1/metrics"],
  ["viewer", "POST", () => "/api/v1/tokens", { kind: "api", name: "mine" }],
  ["user", "POST", () => "/api/v1/tokens", { kind: "enrolment", name: "office" }],
  ["user", "POST", () => "/api/v1/tests", newTest],
  ["user", "PATCH", () => `/api/v1/tests/${testId}`, { name: "renamed" }],
  ["user", "POST", () => `/api/v1/tests/${testId}/run`],
  ["user", "POST", () => `/api/v1/tests/${testId}/pause`],
  ["user", "POST", () => `/api/v1/tests/${testId}/resume`],
  ["user", "PUT", () => `/api/v1/tests/${testId}/clients`, { client_ids: [] }],
  ["user", "PATCH", () => `/api/v1/clients/${clientId}`, { name: "renamed" }],
  ["admin", "GET", () => "/api/v1/users"],
  ["admin", "POST", () => "/api/v1/users", { username: `u${crypto.randomUUID()}`, password: "long enough one", role: "viewer" }],
  ["admin", "GET", () => "/api/v1/config"],
  ["admin", "PATCH", () => "/api/v1/config", { upload_s: 300 }],
  ["admin", "GET", () => "/api/v1/audit"],
];
const RANK = { viewer: 0, user: 1, admin: 2 } as const;

describe.each(["viewer", "user", "admin"] as const)("the role %s", (role) => {
  test("opens its doors and no other", async () => {
    const person = await asPerson(admin, role);
    for (const [least, method, path, body] of DOORS) {
      const { status } = await person.send(method, path(), body);
      const open = RANK[role] >= RANK[least];
      expect([method, path(), open ? status < 300 : status]).toEqual([method, path(), open ? true : 403]);
    }
    const { client_id } = await register();
    expect((await person.send("DELETE", `/api/v1/clients/${client_id}`)).status).toBe(role === "admin" ? 204 : 403);
  });
});

test("every door is shut without a session, and says so before it looks at anything", async () => {
  for (const [, method, path, body] of DOORS) {
    const reply = await new Asker().send(method, path(), body);
    expect([method, path(), reply.status]).toEqual([method, path(), 401]);
  }
});

describe("API tokens", () => {
  const script = ({ secret }: CreatedToken) => new Asker({ authorization: `Bearer ${secret}` });

  test("speak for their owner; one that may read does not write", async () => {
    const person = await asPerson(admin, "user");
    const make = (scopes: string[]) => person.post<CreatedToken>("/api/v1/tokens", { kind: "api", name: "s", scopes });
    const [reader, writer] = [script(await make(["read"])), script(await make(["read", "write"]))];
    expect(await reader.get("/api/v1/session")).toMatchObject({ user: { id: person.id, role: "user" } });
    expect(await problemOf(await reader.send("POST", "/api/v1/tests", newTest))).toMatchObject({
      status: 403,
      code: "forbidden",
    });
    expect((await writer.send("POST", "/api/v1/tests", newTest)).status).toBe(201);
    expect((await writer.send("GET", "/api/v1/users")).status).toBe(403);
  });

  test("revoked, wrong, or of an agent: 401; another person's cannot be revoked or seen", async () => {
    const [one, other] = [await asPerson(admin, "user"), await asPerson(admin, "user")];
    const made = await one.post<CreatedToken>("/api/v1/tokens", { kind: "api", name: "s" });
    expect((await other.send("DELETE", `/api/v1/tokens/${made.id}`)).status).toBe(404);
    expect(JSON.stringify(await other.get("/api/v1/tokens"))).not.toContain(made.id);
    await script(made).get("/api/v1/clients");
    expect((await one.send("DELETE", `/api/v1/tokens/${made.id}`)).status).toBe(204);
    const agent = await register();
    for (const token of [made.secret, "ssu_x", agent.token, "sse_reusable-enrolment-token-for-tests"]) {
      const reply = await new Asker({ authorization: `Bearer ${token}` }).send("GET", "/api/v1/clients");
      expect(await problemOf(reply)).toMatchObject({ status: 401, code: "bad_token" });
    }
  });
});

describe("a person limited to sites", () => {
  test("sees clients, results, series, live sockets of those sites; the rest is 404", async () => {
    const [oslo, rome] = [await register({ site: "Oslo" }), await register({ site: "Rome" })];
    for (const client of [oslo, rome]) await agentOf(client).post("/api/agent/v1/upload", upload(1, 2));
    const person = await asPerson(admin, "viewer", ["Oslo"]);
    const { items } = await person.get<{ items: Client[] }>("/api/v1/clients");
    expect(new Set(items.map(({ site }) => site))).toEqual(new Set(["Oslo"]));
    expect((await person.get<Fleet>("/api/v1/fleet")).clients.map(({ id }) => id)).not.toContain(rome.client_id);
    const results = await person.get<{ items: { client_id: string }[] }>("/api/v1/results");
    expect(new Set(results.items.map(({ client_id }) => client_id))).toEqual(new Set([oslo.client_id]));
    const series = (id: string) => `series?client_id=${id}&metric=ping_rtt_median`;
    for (const path of [
      (id: string) => `clients/${id}`,
      (id: string) => `results/${id}.1`,
      (id: string) => `results?client_id=${id}`,
      series,
    ]) {
      expect([path("x"), (await person.send("GET", `/api/v1/${path(oslo.client_id)}`)).status]).toEqual([path("x"), 200]);
      expect([path("x"), (await person.send("GET", `/api/v1/${path(rome.client_id)}`)).status]).toEqual([path("x"), 404]);
    }
    const up = { upgrade: "websocket" };
    expect((await person.send("GET", `/api/v1/clients/${rome.client_id}/live`, undefined, up)).status).toBe(404);
    const fleet = await Socket.open("/api/v1/fleet/live", person.headers);
    const snapshot = await fleet.next<{ type: string; clients: { site: string }[] }>("snapshot");
    expect(new Set(snapshot.clients.map(({ site }) => site))).toEqual(new Set(["Oslo"]));
    const page = await Socket.open(`/api/v1/clients/${oslo.client_id}/live`, person.headers);
    expect(await page.next("snapshot")).toMatchObject({ client: { id: oslo.client_id } });
    await register({ site: "Rome" });
    const later = await register({ site: "Oslo" });
    expect(await fleet.next("status")).toMatchObject({ client_id: later.client_id });
    for (const socket of [fleet, page]) socket.close();
  });

  test("sees of a test only its own sites' clients, and no test that runs elsewhere", async () => {
    const [oslo, rome] = [await register({ site: "Oslo" }), await register({ site: "Rome" })];
    const both = await createTest(admin, { client_ids: [oslo.client_id, rome.client_id] });
    const elsewhere = await createTest(admin, { client_ids: [rome.client_id] });
    const person = await asPerson(admin, "viewer", ["Oslo"]);
    const { clients } = await person.get<{ clients: { id: string }[] }>(`/api/v1/tests/${both.id}`);
    expect(clients.map(({ id }) => id)).toEqual([oslo.client_id]);
    expect((await person.send("GET", `/api/v1/tests/${elsewhere.id}`)).status).toBe(404);
    const { items } = await person.get<{ items: Test[] }>("/api/v1/tests");
    expect(items.map(({ id }) => id)).toContain(both.id);
    expect(items.map(({ id }) => id)).not.toContain(elsewhere.id);
  });

  test("with no site sees nothing", async () => {
    const person = await asPerson(admin, "viewer", []);
    expect((await person.get<{ items: Client[] }>("/api/v1/clients")).items).toEqual([]);
    expect((await person.get<Fleet>("/api/v1/fleet")).clients).toEqual([]);
    expect((await person.get<{ items: unknown[] }>("/api/v1/results")).items).toEqual([]);
  });

  test("of a site beyond ASCII is no different", async () => {
    const { client_id } = await register({ site: "東京 – Büro" });
    const person = await asPerson(admin, "viewer", ["東京 – Büro"]);
    const fleet = await Socket.open("/api/v1/fleet/live", person.headers);
    expect(await fleet.next("snapshot")).toMatchObject({ clients: [{ id: client_id }] });
    fleet.close();
  });
});

describe("pages of other sites", () => {
  test.each<[string, Record<string, string>, number]>([
    ["another origin", { origin: "https://evil.example" }, 403],
    ["the null origin of a sandbox", { origin: "null" }, 403],
    ["another port", { origin: "http://localhost:9999" }, 403],
    ["a browser that says cross-site", { "sec-fetch-site": "cross-site" }, 403],
    ["a browser that says same-site", { "sec-fetch-site": "same-site" }, 403],
    ["its own page", { origin: ORIGIN, "sec-fetch-site": "same-origin" }, 201],
    ["the address bar", { "sec-fetch-site": "none" }, 201],
    ["a script without a browser", {}, 201],
  ])("a write from %s", async (_, headers, status) => {
    const before = (await dumpD1()).test;
    const reply = await admin.send("POST", "/api/v1/tests", newTest, headers);
    expect(reply.status).toBe(status);
    if (status === 403) {
      expect(await problemOf(reply)).toMatchObject({ code: "bad_origin" });
      expect((await dumpD1()).test).toEqual(before);
    }
  });
});

describe("AUTH_BYPASS", () => {
  const env = { ...edgeEnv, AUTH_BYPASS: "1" };
  const ask = (url: string, headers: Record<string, string>, bindings: object = env) =>
    app.fetch(new Request(url, { headers }), bindings as typeof env, createExecutionContext());

  test("serves the local admin on this machine, and says so", async () => {
    for (const host of ["localhost:8787", "127.0.0.1:8787", "[::1]:8787", "127.5.5.5"]) {
      const reply = await ask(`http://${host}/api/v1/session`, { host, origin: `http://${host}` });
      expect([host, await reply.json()]).toMatchObject([host, { bypass: true, user: { role: "admin" } }]);
    }
    expect((await ask("http://localhost:8787/api/v1/audit", { host: "localhost:8787" })).status).toBe(200);
  });

  test.each<[string, string, Record<string, string>, object]>([
    ["another host", "http://streamswarm.example/api/v1/session", { host: "streamswarm.example" }, env],
    ["a rebound name", "http://localhost:8787/api/v1/session", { host: "evil.example" }, env],
    [
      "a name that begins like this machine",
      "http://127.0.0.1.evil.example/api/v1/session",
      { host: "127.0.0.1.evil.example" },
      env,
    ],
    ["no host", "http://localhost:8787/api/v1/session", {}, env],
    [
      "another site's page",
      "http://localhost:8787/api/v1/session",
      { host: "localhost:8787", origin: "https://evil.example" },
      env,
    ],
    ["a sandboxed page", "http://localhost:8787/api/v1/session", { host: "localhost:8787", origin: "null" }, env],
    ["a deployed Worker", "http://localhost/api/v1/session", { host: "localhost" }, { ...env, STREAMSWARM_LOCAL: undefined }],
    ["a value that is not 1", "http://localhost/api/v1/session", { host: "localhost" }, { ...env, AUTH_BYPASS: "true" }],
  ])("does not count for %s", async (_, url, headers, bindings) => {
    expect((await ask(url, headers, bindings)).status).toBe(401);
  });

  test("is off unless it is asked for", async () => {
    expect((await fetchEdge("/api/v1/session", { headers: { host: "localhost:8787" } })).status).toBe(401);
  });
});

test("the audit log names who did what to whom, newest first, and holds no secret", async () => {
  const person = await asPerson(admin, "user");
  const { id, secret } = await person.post<CreatedToken>("/api/v1/tokens", { kind: "enrolment", name: "Office" });
  const made = await createTest(person);
  await admin.send("PATCH", `/api/v1/users/${person.id}`, { password: "quite another secret" });
  const signed = await new Asker().send("POST", "/api/v1/session", {
    username: person.username,
    password: "quite another secret",
  });
  const { items } = await admin.get<{ items: { id: number; actor: string; action: string; target: string }[] }>(
    "/api/v1/audit?limit=1000",
  );
  const log = items.map(({ actor, action, target }) => `${actor} ${action} ${target}`);
  for (const line of [
    `${person.username} token.create ${id}`,
    `${person.username} test.create ${made.id}`,
    `root user.change ${person.id}`,
    `root user.create ${person.id}`,
    `${person.username} session.start ${person.id}`,
  ]) {
    expect(log).toContain(line);
  }
  expect(items.map((item) => item.id)).toEqual(items.map((item) => item.id).sort((a, b) => b - a));
  const text = JSON.stringify(items);
  for (const hidden of [secret, person.password, "quite another secret", "scrypt$", cookieOf(signed).split("=")[1] ?? "?"]) {
    expect(text).not.toContain(hidden);
  }
  const first = await admin.get<{ items: unknown[]; next_cursor: string }>("/api/v1/audit?limit=2");
  const second = await admin.get<{ items: unknown[] }>(`/api/v1/audit?limit=2&cursor=${first.next_cursor}`);
  expect([...first.items, ...second.items]).toEqual(items.slice(0, 4));
});
