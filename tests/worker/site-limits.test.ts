// What a person limited to sites may change: tests, clients and tokens of those sites, and nothing that reaches further.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Client, CreatedToken, Test, Token } from "#contract/api";
import type { HeartbeatReply, RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, asPerson, byText, createTest, problemOf, register } from "./edge.ts";
import { dumpD1 } from "./inside.ts";

let admin: Asker;
let person: Asker;
let oslo: RegisterReply;
let rome: RegisterReply;

beforeAll(async () => {
  admin = await asAdmin();
  person = await asPerson(admin, "user", ["Oslo", "Bergen"]);
});
beforeEach(async () => {
  [oslo, rome] = [await register({ site: "Oslo" }), await register({ site: "Rome" })];
});

/** Checks that the person is refused with this status and that D1 is row for row what it was. */
async function refused(status: number, method: string, path: string, body?: unknown) {
  const before = await dumpD1();
  const problem = await problemOf(await person.send(method, `/api/v1/${path}`, body));
  expect({ method, path, status: problem.status }, problem.detail).toEqual({ method, path, status });
  expect(await dumpD1()).toEqual(before);
  return problem;
}

const asked = async (method: string, path: string, body?: unknown) => (await person.send(method, `/api/v1/${path}`, body)).status;
const newTest = (change: object) => ({ name: "t", type: "ping", destination: "127.0.0.1", ...change });
const UNKNOWN = "0000000000000000";

/** Every way to change a test. */
const changes = (id: string): [method: string, path: string, body?: object][] => [
  ["PATCH", `tests/${id}`, { name: "renamed" }],
  ["PATCH", `tests/${id}`, { enabled: false }],
  ["PUT", `tests/${id}/clients`, { client_ids: [oslo.client_id] }],
  ["POST", `tests/${id}/pause`],
  ["POST", `tests/${id}/resume`],
  ["DELETE", `tests/${id}`],
];

describe("clients named in a test", () => {
  test("of other sites are unknown ones, word for word", async () => {
    const { id } = await createTest(person, { client_ids: [oslo.client_id] });
    const client_ids = [oslo.client_id, rome.client_id, UNKNOWN];
    const errors = [
      { path: "client_ids.1", message: `names no client: ${rome.client_id}` },
      { path: "client_ids.2", message: `names no client: ${UNKNOWN}` },
    ];
    for (const problem of [
      await refused(422, "POST", "tests", newTest({ client_ids })),
      await refused(422, "PATCH", `tests/${id}`, { client_ids }),
      await refused(422, "PUT", `tests/${id}/clients`, { client_ids }),
    ]) {
      expect(problem).toMatchObject({ code: "invalid", errors });
    }
  });

  test("are not shown to those who may not see them, neither in the test nor in the list", async () => {
    const { id } = await createTest(admin, { client_ids: [oslo.client_id, rome.client_id] });
    expect(await person.get(`/api/v1/tests/${id}`)).toMatchObject({ client_ids: [oslo.client_id] });
    const { items } = await person.get<{ items: Test[] }>("/api/v1/tests?limit=1000");
    expect(items.find((one) => one.id === id)?.client_ids).toEqual([oslo.client_id]);
    const whole = await admin.get<Test>(`/api/v1/tests/${id}`);
    expect(whole.client_ids.toSorted(byText)).toEqual([oslo.client_id, rome.client_id].sort(byText));
  });
});

describe("a selector", () => {
  test.each<[string, object]>([
    ["all clients", { all: true }],
    ["tags of any site", { tags: { role: "probe" } }],
    ["all clients with tags", { all: true, tags: { role: "probe" } }],
    ["another site", { site: "Rome" }],
    ["another site's tags", { site: "Rome", tags: { role: "probe" } }],
    ["a site of another case", { site: "oslo" }],
    ["clients without a site", { site: "" }],
  ])("of %s is refused", async (_, selector) => {
    const { id } = await createTest(person, { client_ids: [oslo.client_id] });
    expect((await refused(403, "POST", "tests", newTest({ selector }))).code).toBe("forbidden");
    await refused(403, "PATCH", `tests/${id}`, { selector });
  });

  test.each([{ site: "Oslo" }, { site: "Oslo", tags: {} }, { site: "Oslo", all: true }])(
    "%j selects own clients only and is fine",
    async (selector) => {
      const { id } = await createTest(person, { selector });
      const { clients } = await admin.get<{ clients: { site: string }[] }>(`/api/v1/tests/${id}`);
      expect(new Set(clients.map(({ site }) => site))).toEqual(new Set(["Oslo"]));
      for (const [method, path, body] of changes(id))
        expect([path, (await asked(method, path, body)) < 300]).toEqual([path, true]);
    },
  );
});

describe("a test that also runs at other sites", () => {
  test.each<[string, () => Record<string, unknown>]>([
    ["by the clients it names", () => ({ client_ids: [oslo.client_id, rome.client_id] })],
    ["by selecting all", () => ({ selector: { all: true } })],
    [
      "by its tags, though nobody else carries them yet",
      () => ({ client_ids: [oslo.client_id], selector: { tags: { a: "b" } } }),
    ],
    ["by another site's name, though it has no client yet", () => ({ client_ids: [oslo.client_id], selector: { site: "Ulm" } })],
  ])("%s is not theirs to change", async (_, reach) => {
    const { id } = await createTest(admin, reach());
    for (const [method, path, body] of changes(id)) expect((await refused(403, method, path, body)).code).toBe("forbidden");
  });

  test("may be run, on own clients only", async () => {
    const { id } = await createTest(admin, { client_ids: [oslo.client_id, rome.client_id] });
    const { run_id } = await person.post<{ run_id: string }>(`/api/v1/tests/${id}/run`, undefined);
    const runs = async (client: RegisterReply) =>
      (await agentOf(client).post<HeartbeatReply>("/api/agent/v1/heartbeat", {})).runs.map((run) => run.run_id);
    expect([await runs(oslo), await runs(rome)]).toEqual([[run_id], []]);
  });

  test("and one that runs elsewhere only is not there", async () => {
    const { id } = await createTest(admin, { client_ids: [rome.client_id] });
    for (const [method, path, body] of changes(id)) await refused(404, method, path, body);
    await refused(404, "POST", `tests/${id}/run`);
  });
});

test("a test of own clients can be made, changed, paused, resumed, run and deleted", async () => {
  const { id } = await createTest(person, { client_ids: [oslo.client_id] });
  const bergen = await register({ site: "Bergen" });
  expect(await asked("PATCH", `tests/${id}`, { name: "Ours", interval_s: 60, selector: { site: "Oslo" } })).toBe(200);
  expect(await asked("PUT", `tests/${id}/clients`, { client_ids: [oslo.client_id, bergen.client_id] })).toBe(200);
  expect(await asked("POST", `tests/${id}/pause`)).toBe(202);
  expect(await admin.get(`/api/v1/tests/${id}`)).toMatchObject({ name: "Ours", interval_s: 60, enabled: false });
  expect(await asked("POST", `tests/${id}/resume`)).toBe(202);
  expect(await asked("POST", `tests/${id}/run`)).toBe(202);
  expect(await asked("DELETE", `tests/${id}`)).toBe(204);
  expect((await admin.send("GET", `/api/v1/tests/${id}`)).status).toBe(404);
});

describe("a client", () => {
  test("moves between own sites only, and one elsewhere is not there", async () => {
    const path = `clients/${oslo.client_id}`;
    for (const site of ["Rome", "", "oslo"]) {
      expect((await refused(403, "PATCH", path, { site, name: "Taken away" })).code).toBe("forbidden");
    }
    await refused(404, "PATCH", `clients/${rome.client_id}`, { site: "Oslo" });
    expect(await asked("PATCH", path, { site: "Bergen", name: "Harbour" })).toBe(200);
    expect(await admin.get<Client>(`/api/v1/${path}`)).toMatchObject({ site: "Bergen", name: "Harbour" });
    expect((await admin.send("PATCH", `/api/v1/${path}`, { site: "Rome" })).status).toBe(200);
    await refused(404, "PATCH", path, { site: "Bergen" });
  });
});

describe("tokens", () => {
  const enrolment = (change: object) => ({ kind: "enrolment", name: "office", ...change });

  test("for clients are made for own sites only", async () => {
    for (const site of [{}, { site: null }, { site: "" }, { site: "Rome" }]) {
      expect((await refused(403, "POST", "tokens", enrolment(site))).code).toBe("forbidden");
    }
    const { secret } = await person.post<CreatedToken>("/api/v1/tokens", enrolment({ site: "Oslo" }));
    const { client_id } = await register({}, secret);
    expect(await person.get<Client>(`/api/v1/clients/${client_id}`)).toMatchObject({ site: "Oslo" });
    expect(await asked("POST", "tokens", { kind: "api", name: "mine" })).toBe(201);
  });

  test("for clients elsewhere are neither shown nor revoked", async () => {
    const make = (asker: Asker, change: object) => asker.post<CreatedToken>("/api/v1/tokens", enrolment(change));
    const shown = [await make(admin, { site: "Oslo" }), await make(person, { site: "Bergen" })];
    const hidden = [await make(admin, { site: "Rome" }), await make(admin, {}), await make(admin, { site: "" })];
    const ids = (await person.get<{ items: Token[] }>("/api/v1/tokens")).items.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(shown.map(({ id }) => id)));
    for (const { id } of hidden) {
      expect(ids).not.toContain(id);
      await refused(404, "DELETE", `tokens/${id}`);
    }
    const all = (await admin.get<{ items: Token[] }>("/api/v1/tokens")).items.map(({ id }) => id);
    expect(all).toEqual(expect.arrayContaining([...shown, ...hidden].map(({ id }) => id)));
  });
});
