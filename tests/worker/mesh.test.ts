// Clients that measure each other: who runs what, who is told, and who gets which key.
import { createHmac } from "node:crypto";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Test, TestDetail } from "#contract/api";
import { advertisedProblem, type PeerReply, type PeersReply, type ReflectorReply, SECRET_SLOT_MS } from "#contract/peers";
import type { Result } from "#contract/result";
import { seriesId } from "#contract/series-id";
import type { Instruction, RegisterReply } from "#contract/wire";
import { measuredBy, meshOffset, meshPlan } from "../../worker/analysis/mesh.ts";
import {
  type Asker,
  agentOf,
  asAdmin,
  asPerson,
  byText,
  connect,
  createTest,
  pathsOf,
  pingResult,
  problemOf,
  register,
  Socket,
  told,
} from "./edge.ts";
import { asksOfD1, changesOf, dumpD1 } from "./inside.ts";

let admin: Asker;
let tag: string;
let trio: RegisterReply[];

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  // Every test has a mesh of its own.
  tag = crypto.randomUUID();
  trio = await Promise.all([1, 2, 3].map(() => register({ tags: { mesh: tag } })));
});

const instructionOf = (client: RegisterReply) => agentOf(client).get<Instruction>("/api/agent/v1/instruction");
const mesh = (change: object = {}, asker = admin): Promise<Test> =>
  createTest(asker, { name: "mesh", destination: "mesh", interval_s: 30, selector: { tags: { mesh: tag } }, ...change });
const idsOf = (clients: RegisterReply[]) => clients.map(({ client_id }) => client_id);
const othersOf = (client: RegisterReply) => idsOf(trio).filter((id) => id !== client.client_id);
const destinations = (instruction: Instruction) => instruction.tests.map(({ destination }) => destination).sort(byText);
const at = (index: number): RegisterReply => trio[index] as RegisterReply;
const reflect = (client: RegisterReply, body: object = {}) =>
  agentOf(client).send("POST", "/api/agent/v1/reflector", { port: 8862, addresses: ["198.51.100.7"], ...body });
const askPeers = async (client: RegisterReply, client_ids: string[]) =>
  (await agentOf(client).post<PeersReply>("/api/agent/v1/peers", { client_ids })).peers;

type Found = Extract<PeerReply, { key: string }>;
async function keyOf(client: RegisterReply, peer: RegisterReply): Promise<Found> {
  const [reply] = await askPeers(client, [peer.client_id]);
  if (reply === undefined || "problem" in reply) throw new Error(`no key: ${JSON.stringify(reply)}`);
  return reply;
}

describe("instructions", () => {
  test("a mesh is one test for each of the other clients, never for the client itself", async () => {
    const { id } = await mesh();
    for (const client of trio) {
      const { tests } = await instructionOf(client);
      const expected = othersOf(client).map((peer) => `${seriesId(id, peer)} client:${peer}`);
      expect(tests.map((one) => `${one.test_id} ${one.destination}`).sort(byText)).toEqual(expected.sort(byText));
      expect(new Set(tests.map(({ offset_s }) => offset_s)).size).toBe(2);
      expect(tests.every(({ offset_s }) => offset_s >= 0 && offset_s < 30)).toBe(true);
    }
  });

  test("retired clients are no part of it, and one alone measures nobody", async () => {
    await mesh();
    for (const client of trio.slice(1)) await admin.send("PATCH", `/api/v1/clients/${client.client_id}`, { status: "retired" });
    expect(await instructionOf(at(0))).toMatchObject({ tests: [] });
    expect((await instructionOf(at(0))).aimed_at).toBeUndefined();
  });

  test("one client as destination: every other client measures it once, and only it has to be found", async () => {
    const { id } = await createTest(admin, {
      destination: `client:${at(0).client_id}`,
      client_ids: idsOf(trio),
    });
    expect(await instructionOf(at(0))).toMatchObject({ tests: [], aimed_at: true });
    for (const client of trio.slice(1)) {
      const instruction = await instructionOf(client);
      expect(instruction.aimed_at).toBeUndefined();
      expect(instruction.tests).toMatchObject([
        { test_id: seriesId(id, at(0).client_id), destination: `client:${at(0).client_id}` },
      ]);
    }
  });

  test("a ping needs an address, not a reflector; a paused test needs neither", async () => {
    const { id } = await mesh();
    expect(await instructionOf(at(0))).toMatchObject({ aimed_at: true });
    expect((await instructionOf(at(0))).reflector).toBeUndefined();
    await admin.send("POST", `/api/v1/tests/${id}/pause`);
    expect((await instructionOf(at(0))).aimed_at).toBeUndefined();
  });

  test("whoever runs nothing but its measurement of one client is not looked for itself", async () => {
    await createTest(admin, { destination: `client:${at(0).client_id}`, client_ids: [] });
    expect((await instructionOf(at(0))).aimed_at).toBeUndefined();
  });

  test("an instruction costs the same few questions whatever the mesh", async () => {
    const lone = await register();
    const before = await asksOfD1(() => instructionOf(lone));
    await mesh();
    await mesh({ name: "second" });
    expect(await asksOfD1(() => instructionOf(at(0)))).toBe(before);
  });
});

describe("the plan of a mesh", () => {
  const members = Array.from({ length: 50 }, (_, index) => `c${String(index).padStart(2, "0")}`);

  test("a mesh beyond the limit is measured evenly, and says what it leaves out", () => {
    const plans = new Map(members.map((id) => [id, meshPlan(id, members, 7)]));
    const measured = members.map((id) => [...plans.values()].filter(({ peers }) => peers.includes(id)).length);
    expect(measured).toEqual(members.map(() => 7));
    expect([...plans.values()].every(({ peers, left_out }) => peers.length === 7 && left_out === 42)).toBe(true);
    for (const id of members) {
      expect(measuredBy(id, members, 7).sort(byText)).toEqual(members.filter((other) => plans.get(other)?.peers.includes(id)));
    }
  });

  test("in each slot a client measures one and is measured by one", () => {
    const six = members.slice(0, 6);
    for (let slot = 0; slot < 5; slot++) {
      const targets = six.map((id) => meshPlan(id, six).peers[slot]);
      expect(new Set(targets).size).toBe(6);
    }
    const starts = meshPlan("c00", six).peers.map((_, place) => meshOffset("c00", "t", 600, place, 5));
    const sorted = starts.sort((a, b) => a - b);
    const gaps = sorted.map((start, index) =>
      index === 0 ? start + 600 - (sorted.at(-1) ?? 0) : start - (sorted[index - 1] ?? 0),
    );
    expect(Math.min(...gaps)).toBeGreaterThan(119.9);
  });
});

describe("who is told", () => {
  const next = async (socket: Socket) => Number((await socket.next("instruction")).revision);

  test("a client that a test is aimed at hears of it, of its pause and of its end", async () => {
    const { socket } = await connect(at(0).token);
    const { id } = await createTest(admin, { destination: `client:${at(0).client_id}`, client_ids: [at(1).client_id] });
    const revisions = [await next(socket)];
    for (const verb of ["pause", "resume"]) {
      await admin.send("POST", `/api/v1/tests/${id}/${verb}`);
      revisions.push(await next(socket));
    }
    await admin.send("PATCH", `/api/v1/tests/${id}`, { destination: `client:${at(2).client_id}` });
    revisions.push(await next(socket));
    expect((await instructionOf(at(0))).aimed_at).toBeUndefined();
    await admin.send("PATCH", `/api/v1/tests/${id}`, { destination: `client:${at(0).client_id}` });
    revisions.push(await next(socket));
    await admin.send("DELETE", `/api/v1/tests/${id}`);
    revisions.push(await next(socket));
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  });

  test("the others hear of a client that comes, goes, moves or is named otherwise", async () => {
    await mesh();
    const { socket, welcome } = await connect(at(0).token);
    const held = welcome.instruction.revision;
    const fourth = await register({ tags: { mesh: tag } });
    expect(await next(socket)).toBeGreaterThan(held);
    expect(destinations(await instructionOf(at(0)))).toContain(`client:${fourth.client_id}`);
    expect(destinations(fourth.instruction)).toHaveLength(3);

    await admin.send("PATCH", `/api/v1/clients/${fourth.client_id}`, { tags: {} });
    await next(socket);
    expect(destinations(await instructionOf(at(0)))).toHaveLength(2);
    await admin.send("PATCH", `/api/v1/clients/${fourth.client_id}`, { tags: { mesh: tag } });
    await next(socket);
    expect(destinations(await instructionOf(at(0)))).toHaveLength(3);
    await admin.send("DELETE", `/api/v1/clients/${fourth.client_id}`);
    await next(socket);
    expect(destinations(await instructionOf(at(0)))).toHaveLength(2);
    await admin.send("PATCH", `/api/v1/clients/${at(2).client_id}`, { status: "retired" });
    await next(socket);
    expect(destinations(await instructionOf(at(0)))).toEqual([`client:${at(1).client_id}`]);
  });

  test("a new name moves nobody", async () => {
    await mesh();
    const { socket } = await connect(at(0).token);
    await admin.send("PATCH", `/api/v1/clients/${at(1).client_id}`, { name: "renamed" });
    expect(socket.waiting("instruction")).toEqual([]);
  });
});

describe("where a client answers", () => {
  test("is stored once, and again only when it changed", async () => {
    expect((await reflect(at(0))).status).toBe(200);
    const { reflector: rows = [] } = await dumpD1();
    expect((await reflect(at(0))).status).toBe(200);
    expect((await dumpD1()).reflector).toEqual(rows);
    await reflect(at(0), { port: 9000, addresses: ["198.51.100.7", "2001:0DB8:0::7"] });
    const stored = (await dumpD1()).reflector?.find((row) => row.includes(at(0).client_id)) ?? "";
    expect(JSON.parse(stored)).toMatchObject({ port: 9000, addresses: '["198.51.100.7","2001:db8::7"]' });
    await admin.send("DELETE", `/api/v1/clients/${at(0).client_id}`);
    expect((await dumpD1()).reflector?.some((row) => row.includes(at(0).client_id))).toBe(false);
  });

  test.each([
    ["a name", "host.example"],
    ["metadata", "169.254.169.254"],
    ["metadata over IPv6", "fd00:ec2::254"],
    ["link-local", "169.254.7.7"],
    ["link-local over IPv6", "fe80::1"],
    ["multicast", "224.0.0.1"],
    ["nothing", "0.0.0.0"],
    ["octal", "010.0.0.1"],
    ["an option", "-n"],
  ])("refuses %s and names it", async (_, address) => {
    const response = await reflect(at(0), { addresses: ["198.51.100.7", address] });
    expect([response.status, pathsOf(await problemOf(response))]).toEqual([422, ["addresses.1"]]);
    expect((await dumpD1()).reflector?.some((row) => row.includes(at(0).client_id))).toBe(false);
  });

  test("loopback counts on an edge of one machine only", () => {
    for (const address of ["127.0.0.1", "::1"]) {
      expect(advertisedProblem(address, true)).toBeUndefined();
      expect(advertisedProblem(address, false)).toMatch(/itself/);
    }
    expect(advertisedProblem("10.1.2.3", false)).toBeUndefined();
  });

  test.each([
    { port: 0 },
    { port: 65_536 },
    { port: "8862" },
    { addresses: "198.51.100.7" },
    { addresses: Array(17).fill("198.51.100.7") },
  ])("a body like %j is a 422", async (body) => {
    expect((await reflect(at(0), body)).status).toBe(422);
  });
});

describe("keys", () => {
  beforeEach(async () => {
    await mesh();
    for (const client of trio) await reflect(client);
  });

  test("are what the reflector derives from its secret, one for each pair", async () => {
    const [asked, reflector] = [at(0), at(1)];
    const { secrets, server_time } = (await (await reflect(reflector)).json()) as ReflectorReply;
    expect(secrets.map(({ from, until }) => until - from)).toEqual([2, 2, 2].map((slots) => slots * SECRET_SLOT_MS));
    const inForce = secrets.filter(({ from, until }) => from <= server_time && server_time < until);
    expect(inForce).toHaveLength(2);
    const reply = await keyOf(asked, reflector);
    expect(reply).toMatchObject({ addresses: ["198.51.100.7"], port: 8862, client_id: reflector.client_id });
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(asked.client_id)));
    expect(reply.ssid).toBe(((digest[0] ?? 0) << 8) | (digest[1] ?? 0) || 1);
    const newest = inForce.at(-1);
    // As agent/stamp/key.ts derives it.
    const session = Buffer.from([reply.ssid >> 8, reply.ssid & 255]);
    const secret = Buffer.from(newest?.secret ?? "", "base64url");
    expect(reply.key).toBe(createHmac("sha256", secret).update("stamp-session").update(session).digest("base64url"));
    expect(reply.until).toBe(newest?.until);
    expect(reply.until - server_time).toBeGreaterThan(SECRET_SLOT_MS - 1000);
    expect(reply.until - server_time).toBeLessThanOrEqual(2 * SECRET_SLOT_MS);

    const pairs = trio.flatMap((from) => trio.filter((to) => to !== from).map((to) => [from, to] as const));
    const keys = await Promise.all(pairs.map(async ([from, to]) => (await keyOf(from, to)).key));
    expect(new Set(keys).size).toBe(6);
  });

  test("end when the reflector's client registers again", async () => {
    const before = await keyOf(at(0), at(1));
    const [, secret] = ((await (await reflect(at(1))).json()) as ReflectorReply).secrets;
    const install = (await dumpD1()).client?.find((row) => row.includes(at(1).client_id)) ?? "";
    const { install_id } = JSON.parse(install) as { install_id: string };
    const again = await register({ install_id, proof: at(1).token, tags: { mesh: tag } });
    expect(again.client_id).toBe(at(1).client_id);
    expect((await reflect(at(1))).status).toBe(401);
    expect((await keyOf(at(0), at(1))).key).not.toBe(before.key);
    const renewed = ((await (await reflect(again)).json()) as ReflectorReply).secrets;
    expect(renewed.map((one) => one.secret)).not.toContain(secret?.secret);
  });

  test("are given for clients that a test of the asker names, and nobody else learns whether a client exists", async () => {
    const stranger = await register();
    await reflect(stranger);
    const ids = [stranger.client_id, "0000000000000000", at(0).client_id];
    expect(await askPeers(at(0), ids)).toEqual(ids.map((client_id) => ({ client_id, problem: "not_yours" })));
    expect(await askPeers(stranger, idsOf(trio))).toEqual(idsOf(trio).map((client_id) => ({ client_id, problem: "not_yours" })));
  });

  test("are given to nobody for a retired client, and to a retired client for nobody", async () => {
    await createTest(admin, { destination: `client:${at(1).client_id}`, client_ids: [at(0).client_id] });
    await admin.send("PATCH", `/api/v1/clients/${at(1).client_id}`, { status: "retired" });
    expect(await askPeers(at(0), [at(1).client_id])).toEqual([{ client_id: at(1).client_id, problem: "unknown" }]);
    const response = await agentOf(at(1)).send("POST", "/api/agent/v1/peers", { client_ids: [at(0).client_id] });
    expect([response.status, (await problemOf(response)).code]).toEqual([401, "token_revoked"]);
    expect((await reflect(at(1))).status).toBe(401);
  });

  test("end with the test", async () => {
    const { id } = await createTest(admin, {
      destination: `client:${at(0).client_id}`,
      client_ids: [at(1).client_id],
      name: "one",
    });
    const { id: lone } = await createTest(admin, {
      destination: `client:${at(0).client_id}`,
      client_ids: [(await register()).client_id],
    });
    expect(lone).not.toBe(id);
    const other = await register();
    const { id: own } = await createTest(admin, { destination: `client:${at(0).client_id}`, client_ids: [other.client_id] });
    expect((await keyOf(other, at(0))).port).toBe(8862);
    await admin.send("POST", `/api/v1/tests/${own}/pause`);
    expect(await askPeers(other, [at(0).client_id])).toEqual([{ client_id: at(0).client_id, problem: "not_yours" }]);
  });

  test("a client that never said where it is has no address, and one without a reflector no port", async () => {
    const fourth = await register({ tags: { mesh: tag } });
    expect(await askPeers(at(0), [fourth.client_id])).toEqual([{ client_id: fourth.client_id, problem: "no_address" }]);
    await reflect(fourth, { port: null });
    expect(await askPeers(at(0), [fourth.client_id])).toMatchObject([{ port: null, addresses: ["198.51.100.7"] }]);
  });

  test.each([{}, { client_ids: [] }, { client_ids: "all" }, { client_ids: Array(501).fill("x") }])(
    "a body like %j is a 422",
    async (body) => {
      expect((await agentOf(at(0)).send("POST", "/api/agent/v1/peers", body)).status).toBe(422);
    },
  );

  test.each(["reflector", "peers"])("%s takes an agent's token only", async (path) => {
    for (const headers of [{}, admin.headers, { authorization: "Bearer ssa_0000000000000000_1_x" }] as Record<string, string>[]) {
      const response = await agentOf(at(0)).send("POST", `/api/agent/v1/${path}`, {}, { authorization: "", ...headers });
      expect(response.status).toBe(401);
    }
  });
});

describe("what may be named", () => {
  const refused = async (asker: Asker, change: object) => {
    const response = await asker.send("POST", "/api/v1/tests", { name: "t", type: "ping", destination: "mesh", ...change });
    return [response.status, (await problemOf(response)).errors];
  };

  test("a client that is there; another type than its peers can answer is refused", async () => {
    const unknown = { path: "destination", message: "names no client; write client: and its id" };
    expect(await refused(admin, { destination: "client:0000000000000000" })).toEqual([422, [unknown]]);
    await admin.send("PATCH", `/api/v1/clients/${at(0).client_id}`, { status: "retired" });
    const retired = { path: "destination", message: "names a client that was retired" };
    expect(await refused(admin, { destination: `client:${at(0).client_id}` })).toEqual([422, [retired]]);
    expect((await refused(admin, { type: "dns" }))[0]).toBe(422);
    const { id } = await createTest(admin);
    const patched = await admin.send("PATCH", `/api/v1/tests/${id}`, { destination: "client:0000000000000000" });
    expect([patched.status, pathsOf(await problemOf(patched))]).toEqual([422, ["destination"]]);
  });

  test("of one's own sites only, and what others aimed elsewhere stays as it is", async () => {
    const [oslo, rome] = [await register({ site: "Oslo" }), await register({ site: "Rome" })];
    const person = await asPerson(admin, "user", ["Oslo"]);
    const foreign = await refused(person, { destination: `client:${rome.client_id}`, client_ids: [oslo.client_id] });
    const nobody = await refused(person, { destination: "client:0000000000000000", client_ids: [oslo.client_id] });
    expect(foreign).toEqual(nobody);
    await createTest(person, { destination: `client:${oslo.client_id}`, client_ids: [oslo.client_id] });
    const { id } = await createTest(admin, { destination: `client:${rome.client_id}`, client_ids: [oslo.client_id] });
    for (const [method, path] of [
      ["PATCH", `tests/${id}`],
      ["DELETE", `tests/${id}`],
      ["POST", `tests/${id}/pause`],
    ] as const) {
      const body = method === "PATCH" ? { interval_s: 1 } : undefined;
      expect((await person.send(method, `/api/v1/${path}`, body)).status).toBe(403);
    }
  });
});

describe("results", () => {
  /** Stores results of a client's series. */
  async function store(client: RegisterReply, results: [series: string, change: object][]): Promise<void> {
    const { last_seq } = await agentOf(client).post<{ last_seq: number }>("/api/agent/v1/heartbeat", {});
    const items = results.map(([test_id, change], index) => pingResult(last_seq + index + 1, { test_id, ...change }));
    await agentOf(client).post("/api/agent/v1/upload", {
      boot: "b",
      from: last_seq + 1,
      to: last_seq + items.length,
      results: items,
    });
  }
  const failed = { status: "failed", error: { code: "no_reply", source: "target", message: "no reply" } };

  test("the test's page has each client's peers, and the worst of them as its newest", async () => {
    const { id } = await mesh();
    const [other = "", another = ""] = othersOf(at(0));
    await store(at(0), [
      [seriesId(id, other), failed],
      [seriesId(id, another), {}],
    ]);
    const detail = await admin.get<TestDetail>(`/api/v1/tests/${id}`);
    expect(detail.clients.map(({ id: client }) => client).sort(byText)).toEqual(idsOf(trio).sort(byText));
    const own = detail.clients.find((client) => client.id === at(0).client_id);
    expect(own).toMatchObject({ latest: { status: "failed", test_id: id, peer_id: other }, peers_left_out: 0 });
    const shown = Object.fromEntries((own?.peers ?? []).map((peer) => [peer.peer_id, peer.latest?.status]));
    expect(shown).toEqual({ [other]: "failed", [another]: "ok" });
    expect(own?.peers.every(({ name }) => name.startsWith("agent-"))).toBe(true);
    expect(detail.clients.find((client) => client.id === at(1).client_id)).toMatchObject({
      latest: null,
      peers: [{ latest: null }, { latest: null }],
    });
  });

  test("a test of an address has no peers", async () => {
    const { id } = await createTest(admin, { client_ids: [at(0).client_id] });
    const detail = await admin.get<TestDetail>(`/api/v1/tests/${id}`);
    expect(detail.clients).toMatchObject([{ peers: [], peers_left_out: 0 }]);
  });

  test("are found by test, and by test and peer, in lists and series alike", async () => {
    const { id } = await mesh();
    const [other = "", another = ""] = othersOf(at(0));
    await store(at(0), [
      [seriesId(id, other), {}],
      [seriesId(id, another), {}],
    ]);
    const results = async (query: string) => (await admin.get<{ items: Result[] }>(`/api/v1/results?${query}`)).items;
    expect((await results(`test_id=${id}`)).map(({ peer_id }) => peer_id ?? "").sort(byText)).toEqual(
      [other, another].sort(byText),
    );
    expect((await results(`test_id=${id}&peer_id=${other}`)).map((one) => [one.test_id, one.peer_id])).toEqual([[id, other]]);
    type Reply = { series: { test_id: string; peer_id: string }[] };
    const series = async (query: string) =>
      (await admin.get<Reply>(`/api/v1/series?metric=ping_rtt_median&${query}`)).series.map((one) => one.peer_id).sort(byText);
    expect(await series(`test_id=${id}`)).toEqual([other, another].sort(byText));
    expect(await series(`test_id=${id}&peer_id=${another}`)).toEqual([another]);
    for (const path of ["results?", "series?metric=ping_rtt_median&"]) {
      expect((await admin.send("GET", `/api/v1/${path}client_id=${at(0).client_id}&peer_id=${other}`)).status).toBe(400);
    }
  });

  test("a failing test counts once, whatever its peers", async () => {
    const { id } = await mesh();
    await store(
      at(0),
      othersOf(at(0)).map((peer) => [seriesId(id, peer), failed]),
    );
    const { clients } = await admin.get<{ clients: { id: string; failing: number }[] }>("/api/v1/fleet");
    expect(clients.find((client) => client.id === at(0).client_id)?.failing).toBe(1);
  });

  test("an ordered run goes on until every peer has answered", async () => {
    const { id } = await mesh();
    const { socket } = await connect(at(0).token);
    const page = await Socket.open(`/api/v1/clients/${at(0).client_id}/live`, admin.headers);
    const { run_id } = await admin.post<{ run_id: string }>(`/api/v1/tests/${id}/run`, {});
    expect(await socket.next("run")).toMatchObject({ run_id, test_id: id });
    const status = () => admin.get<{ status: string }>(`/api/v1/clients/${at(0).client_id}`).then((one) => one.status);
    const results = othersOf(at(0)).map((peer, index) => pingResult(index + 1, { test_id: seriesId(id, peer), run_id }));
    // The same result comes twice: as a live sample and in an upload.
    socket.send({ type: "sample", result: results[0] });
    expect((await told(page, "result")).result).toMatchObject({ test_id: id, peer_id: othersOf(at(0))[0] });
    socket.send({ type: "upload", boot: "b", from: 1, to: 1, results: [results[0]], hosts: [] });
    await socket.next("ack");
    expect(await status()).toBe("testing");
    socket.send({ type: "upload", boot: "b", from: 2, to: 2, results: [results[1]], hosts: [] });
    await socket.next("ack");
    expect(await status()).toBe("online");
  });

  test("a paused test that names clients cannot be run", async () => {
    const { id } = await mesh({ enabled: false });
    const response = await admin.send("POST", `/api/v1/tests/${id}/run`);
    expect([response.status, (await problemOf(response)).detail]).toEqual([409, expect.stringContaining("Resume it first")]);
  });
});

test("a mesh of four costs one row an upload, as any client does", async () => {
  const fourth = await register({ tags: { mesh: tag } });
  const { id } = await mesh();
  const peers = idsOf(trio);
  const upload = (from: number) => ({
    boot: "b",
    from,
    to: from + 89,
    results: Array.from({ length: 90 }, (_, index) =>
      pingResult(from + index, { test_id: seriesId(id, peers[index % 3] ?? "") }),
    ),
  });
  await agentOf(fourth).post("/api/agent/v1/upload", upload(1));
  const before = await changesOf(fourth.client_id);
  const asked = await asksOfD1(() => agentOf(fourth).post("/api/agent/v1/upload", upload(91)));
  expect(await changesOf(fourth.client_id)).toBe(before + 1);
  expect(asked).toBe(0);
});
