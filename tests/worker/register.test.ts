// How an agent becomes a client: enrolment tokens and their limits, coming back with proof, and what a registration answers.
import { beforeAll, describe, expect, test } from "vitest";
import type { Client, CreatedToken, Token } from "#contract/api";
import { instructionSchema, type RegisterReply, registerReplySchema } from "#contract/wire";
import { Asker, agentOf, asAdmin, byText, createTest, ENROLMENT, problemOf, register, registration, upload } from "./edge.ts";
import { dumpD1, edgeEnv } from "./inside.ts";

let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

const enrolment = (change: object = {}) =>
  admin.post<CreatedToken>("/api/v1/tokens", { kind: "enrolment", name: "Office", ...change });
const ask = (secret: string, body: object, headers: Record<string, string> = {}) =>
  new Asker({ authorization: `Bearer ${secret}`, ...headers }).send("POST", "/api/agent/v1/register", body);
const uses = async (id: string) =>
  (await admin.get<{ items: Token[] }>("/api/v1/tokens")).items.find((token) => token.id === id)?.uses;

describe("a new installation", () => {
  test("is 201, a client of its own with the answer the contract names", async () => {
    const response = await ask(ENROLMENT, registration({ name: "Berlin 3", site: "Berlin" }));
    expect(response.status).toBe(201);
    const reply = registerReplySchema.strict().parse(await response.json());
    expect(reply).toMatchObject({ last_seq: 0 });
    expect(Math.abs(reply.server_time - Date.now())).toBeLessThan(5000);
    expect(await admin.get<Client>(`/api/v1/clients/${reply.client_id}`)).toMatchObject({
      name: "Berlin 3",
      site: "Berlin",
      status: "never_seen",
      version: "0.1.0",
      platform: { os: "linux", arch: "x64" },
      capabilities: { ping: "iputils 20221126" },
    });
    expect(await agentOf(reply).post("/api/agent/v1/upload", upload(1, 1))).toEqual({ ack: 1 });
  });

  test("with the platform in one word and nothing optional is welcome too", async () => {
    const body = { name: "x", version: "1", platform: "openbsd", install_id: crypto.randomUUID() };
    const { client_id } = (await (await ask(ENROLMENT, body)).json()) as RegisterReply;
    expect(await admin.get<Client>(`/api/v1/clients/${client_id}`)).toMatchObject({
      platform: { os: "openbsd" },
      tags: {},
      site: "",
    });
  });

  test("gets the site and tags of its enrolment token, its own tags beside them", async () => {
    const { secret } = await enrolment({ site: "Lyon", tags: { team: "noc", floor: "2" } });
    const { client_id } = await register({ tags: { rack: "b4" } }, secret);
    expect(await admin.get<Client>(`/api/v1/clients/${client_id}`)).toMatchObject({
      site: "Lyon",
      tags: { team: "noc", floor: "2", rack: "b4" },
    });
  });

  test("is instructed at once: by tag, by site, to all, and by name once it is named", async () => {
    const site = crypto.randomUUID();
    const by = {
      tag: await createTest(admin, { selector: { tags: { role: "branch" } } }),
      both: await createTest(admin, { selector: { site, tags: { role: "branch" } } }),
      site: await createTest(admin, { selector: { site } }),
      all: await createTest(admin, { selector: { all: true }, interval_s: 7, packet_size: 100 }),
      paused: await createTest(admin, { selector: { all: true }, enabled: false }),
      elsewhere: await createTest(admin, { selector: { site: "elsewhere" } }),
    };
    const reply = await register({ site, tags: { role: "branch" } });
    const wanted = [by.tag, by.both, by.site, by.all].map(({ id }) => id).sort(byText);
    expect(reply.instruction.tests.map((one) => one.test_id).sort(byText)).toEqual(wanted);
    const all = reply.instruction.tests.find((one) => one.test_id === by.all.id);
    expect(all).toMatchObject({ type: "ping", destination: "127.0.0.1", interval_s: 7, params: { packet_size: 100 } });
    expect(all?.offset_s).toBeGreaterThanOrEqual(0);
    expect(all?.offset_s).toBeLessThan(7.001);
    const named = await createTest(admin, { client_ids: [reply.client_id] });
    const now = instructionSchema.parse(await agentOf(reply).get("/api/agent/v1/instruction"));
    expect(now.tests.map((one) => one.test_id).sort(byText)).toEqual([...wanted, named.id].sort(byText));
    expect(now.revision).toBeGreaterThan(reply.instruction.revision);
    for (const { id } of Object.values(by)) await admin.send("DELETE", `/api/v1/tests/${id}`);
  });
});

describe("an installation that was here before", () => {
  test("with proof is the same client: 200, a fresh token, its numbers go on, the old token ends", async () => {
    const body = registration();
    const first = (await (await ask(ENROLMENT, body)).json()) as RegisterReply;
    await agentOf(first).post("/api/agent/v1/upload", upload(1, 7));
    const response = await ask(ENROLMENT, { ...body, proof: first.token, version: "0.2.0" });
    const again = (await response.json()) as RegisterReply;
    expect([response.status, again.client_id, again.last_seq]).toEqual([200, first.client_id, 7]);
    expect(again.token).not.toBe(first.token);
    const old = await agentOf(first).send("GET", "/api/agent/v1/instruction");
    expect(await problemOf(old)).toMatchObject({ status: 401, code: "token_revoked" });
    expect(await agentOf(again).post("/api/agent/v1/upload", upload(8, 8))).toEqual({ ack: 8 });
    expect(await admin.get<Client>(`/api/v1/clients/${first.client_id}`)).toMatchObject({ version: "0.2.0" });
  });

  test("that died before it kept its newest token may prove itself with the one before, not with an older one", async () => {
    const body = registration();
    const [one, two, three] = [
      (await (await ask(ENROLMENT, body)).json()) as RegisterReply,
      { token: "" } as RegisterReply,
      { token: "" } as RegisterReply,
    ];
    Object.assign(two, await (await ask(ENROLMENT, { ...body, proof: one.token })).json());
    Object.assign(three, await (await ask(ENROLMENT, { ...body, proof: one.token })).json());
    expect([two.client_id, three.client_id]).toEqual([one.client_id, one.client_id]);
    const late = (await (await ask(ENROLMENT, { ...body, proof: one.token })).json()) as RegisterReply;
    expect(late.client_id).not.toBe(one.client_id);
  });

  test.each<[string, (proof: string, body: object) => object]>([
    ["without proof", (_, body) => body],
    ["with a forged proof", (proof, body) => ({ ...body, proof: `${proof.slice(0, -4)}AAAA` })],
    ["with proof but another install id", (proof, body) => ({ ...body, proof, install_id: crypto.randomUUID() })],
    ["with an enrolment token as proof", (_, body) => ({ ...body, proof: ENROLMENT })],
  ])("%s is a new client; the old one is left alone", async (_, change) => {
    const body = registration();
    const first = (await (await ask(ENROLMENT, body)).json()) as RegisterReply;
    const response = await ask(ENROLMENT, change(first.token, body));
    const other = (await response.json()) as RegisterReply;
    expect(response.status).toBe(201);
    expect(other.client_id).not.toBe(first.client_id);
    expect(await agentOf(first).post("/api/agent/v1/upload", upload(1, 1))).toEqual({ ack: 1 });
  });

  test("with proof needs a valid enrolment token all the same", async () => {
    const body = registration();
    const first = (await (await ask(ENROLMENT, body)).json()) as RegisterReply;
    expect((await ask("sse_wrong", { ...body, proof: first.token })).status).toBe(401);
    expect(await agentOf(first).get("/api/agent/v1/instruction")).toMatchObject({ tests: expect.any(Array) });
  });
});

describe("enrolment tokens", () => {
  test("twenty racing registrations with a token of three uses make three clients", async () => {
    const { id, secret } = await enrolment({ max_uses: 3 });
    const race = Array.from({ length: 20 }, (_, index) =>
      ask(secret, registration(), { "cf-connecting-ip": `192.0.2.${index}` }),
    );
    const statuses = (await Promise.all(race)).map((response) => response.status).sort((a, b) => a - b);
    expect(statuses).toEqual([201, 201, 201, ...Array<number>(17).fill(401)]);
    expect(await uses(id)).toBe(3);
  });

  test("a client that comes back with proof takes no use", async () => {
    const { id, secret } = await enrolment({ max_uses: 1 });
    const body = registration();
    const first = (await (await ask(secret, body)).json()) as RegisterReply;
    expect((await ask(secret, { ...body, proof: first.token })).status).toBe(200);
    expect(await uses(id)).toBe(1);
  });

  test("an invalid registration takes no use", async () => {
    const { id, secret } = await enrolment({ max_uses: 1 });
    expect((await ask(secret, { name: "" })).status).toBe(422);
    expect(await uses(id)).toBe(0);
  });

  test("revoked, expired, of the wrong kind, or none: 401", async () => {
    const { id, secret } = await enrolment();
    await admin.send("DELETE", `/api/v1/tokens/${id}`);
    const expired = await enrolment({ expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    await edgeEnv.DB.prepare("UPDATE api_token SET expires_at = ? WHERE id = ?")
      .bind(Date.now() - 1, expired.id)
      .run();
    const api = await admin.post<CreatedToken>("/api/v1/tokens", { kind: "api", name: "script" });
    const before = (await dumpD1()).client;
    for (const token of [secret, expired.secret, api.secret, "sse_"]) {
      expect(await problemOf(await ask(token, registration()))).toMatchObject({ status: 401, code: "bad_token" });
    }
    const none = await new Asker().send("POST", "/api/agent/v1/register", registration());
    expect(await problemOf(none)).toMatchObject({ status: 401, code: "unauthenticated" });
    expect((await dumpD1()).client).toEqual(before);
  });

  test("a date of expiry in the past is refused", async () => {
    const reply = await admin.send("POST", "/api/v1/tokens", {
      kind: "enrolment",
      name: "x",
      expires_at: "2020-01-01T00:00:00Z",
    });
    expect(await problemOf(reply)).toMatchObject({ status: 422, errors: [{ path: "expires_at" }] });
  });

  test("failures are throttled by address; successes from the same address pass", async () => {
    const address = { "cf-connecting-ip": "198.51.100.7" };
    // 20 a minute are let through; 45 tries hold more than 20 of one minute, wherever its border falls.
    let throttled = await ask("sse_guess", registration(), address);
    expect(throttled.status).toBe(401);
    for (let attempt = 0; attempt < 45 && throttled.status === 401; attempt++)
      throttled = await ask("sse_guess", registration(), address);
    expect(await problemOf(throttled.clone())).toMatchObject({ status: 429, code: "throttled" });
    expect(Number(throttled.headers.get("retry-after"))).toBeGreaterThan(0);
    for (let office = 0; office < 5; office++) expect((await ask(ENROLMENT, registration(), address)).status).toBe(201);
    expect((await ask("sse_guess", registration(), { "cf-connecting-ip": "198.51.100.8" })).status).toBe(401);
  });
});

test("no secret is stored in clear: not the enrolment token, not the client's, not the person's, not the password", async () => {
  const { secret } = await enrolment();
  const api = await admin.post<CreatedToken>("/api/v1/tokens", { kind: "api", name: "script" });
  const { token } = await register({}, secret);
  await new Asker({ authorization: `Bearer ${api.secret}` }).get("/api/v1/clients");
  const everything = JSON.stringify(await dumpD1());
  expect(everything).toContain("enrolment");
  const session = admin.headers.cookie?.split("=")[1] ?? "";
  for (const text of [
    secret,
    secret.slice(4),
    api.secret,
    token,
    token.slice(-43),
    ENROLMENT,
    session,
    "correct horse battery",
  ]) {
    expect(text.length).toBeGreaterThan(10);
    expect(everything).not.toContain(text);
  }
});
