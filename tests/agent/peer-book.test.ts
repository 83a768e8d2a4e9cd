// Where other clients are: asked from a real HTTP server, kept as long as the keys live, doubted when a measurement failed.
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { vetoOf } from "../../agent/consent.ts";
import { EdgeHttp } from "../../agent/edge-http.ts";
import type { Peer, PeerWish } from "../../agent/peer.ts";
import { PeerBook } from "../../agent/peer-book.ts";
import { Reflector } from "../../agent/reflector/index.ts";
import { runTest } from "../../agent/runner.ts";
import { deriveKey } from "../../agent/stamp/key.ts";
import { HttpEdge, type PeerFound } from "./helpers/edge.ts";

const HOUR = 3_600_000;
const ID = "00000000000000aa";
const OTHER = "00000000000000bb";
const TOKEN = "client-token";
const NO_REPLY = { status: "failed", error: { code: "no_reply", source: "target", message: "no reply" } } as const;
const ANY: PeerWish = { ip_version: undefined, reflector: false };

const byText = (a: string, b: string) => a.localeCompare(b);

let edge: HttpEdge;
let server: string;
let book: PeerBook;
const never = new AbortController().signal;

const found = (change: Partial<PeerFound> = {}): Omit<PeerFound, "client_id"> => ({
  name: "berlin",
  addresses: ["198.51.100.7", "2001:db8::7"],
  port: 8862,
  ssid: 7,
  key: randomBytes(32).toString("base64url"),
  until: Date.now() + 12 * HOUR,
  ...change,
});

function open(own: string[] = ["192.0.2.1"], families: (4 | 6)[] = [4, 6]): PeerBook {
  const http = new EdgeHttp(server, "0");
  return new PeerBook({ ask: (ids) => http.peers(TOKEN, ids), own: () => own, has: (version) => families.includes(version) });
}

const naming = (...ids: string[]) => ids.map((id, index) => ({ test_id: `t${index}.${id}`, destination: `client:${id}` }));

async function find(id = ID, wish: PeerWish = ANY): Promise<Peer> {
  const answer = await book.find(id, wish, never);
  if ("problem" in answer) throw new Error(answer.problem.message);
  return answer;
}

async function problemOf(id = ID, wish: PeerWish = ANY) {
  const answer = await book.find(id, wish, never);
  if (!("problem" in answer)) throw new Error(`found at ${answer.address}`);
  expect(answer.problem.code).toBe("peer_unavailable");
  return answer.problem;
}

/** Moves the clocks of this process on; timers and sockets keep their own time. */
const later = (ms: number) => vi.advanceTimersByTime(ms);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date", "performance"], shouldAdvanceTime: true });
  edge = new HttpEdge();
  edge.tokens.add(TOKEN);
  server = await edge.listen();
  book = open();
});
afterEach(() => {
  edge.close();
  vi.useRealTimers();
});

test("an address that no test may name is none, whoever hands it out", async () => {
  const never = [
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "ff02::1",
    "::ffff:169.254.169.254",
    "-f",
    "a.example",
  ];
  edge.peers.set(ID, found({ addresses: never }));
  edge.peers.set(OTHER, found({ addresses: [...never, "198.51.100.7"] }));
  book.follow(naming(ID, OTHER));
  expect((await problemOf()).message).toContain("berlin has no address");
  expect((await find(OTHER)).address).toBe("198.51.100.7");
});

test("clients wanted at the same moment are asked for in one request, and not again", async () => {
  for (const id of [ID, OTHER]) edge.peers.set(id, found());
  book.follow(naming(ID, OTHER));
  await Promise.all([find(ID), find(OTHER), find(ID)]);
  await Promise.all([find(ID), find(OTHER)]);
  expect(edge.asked.map((ids) => ids.toSorted(byText))).toEqual([[ID, OTHER]]);
});

test("a key is renewed when half of its life is gone, and used meanwhile", async () => {
  edge.peers.set(ID, found());
  book.follow(naming(ID));
  const first = await find();
  later(6 * HOUR - 1000);
  await find();
  expect(edge.asked).toHaveLength(1);
  later(2000);
  const renewed = found();
  edge.peers.set(ID, renewed);
  expect(Buffer.from((await find()).session.key)).toEqual(Buffer.from(first.session.key));
  await vi.waitFor(async () => expect(Buffer.from((await find()).session.key).toString("base64url")).toBe(renewed.key));
  expect(edge.asked).toHaveLength(2);
});

test("an edge whose clock is hours off changes nothing", async () => {
  edge.now = () => Date.now() - 5 * HOUR;
  edge.peers.set(ID, found({ until: Date.now() - 4 * HOUR }));
  book.follow(naming(ID));
  await find();
  later(0.9 * HOUR);
  await find();
});

test("while the server is away, measuring goes on as long as the key lives", async () => {
  edge.peers.set(ID, found());
  book.follow(naming(ID));
  await find();
  edge.fault = { paths: ["peers"], status: 503 };
  later(11 * HOUR);
  expect((await find()).name).toBe("berlin");
  later(HOUR);
  const problem = await problemOf();
  expect(problem).toMatchObject({ source: "agent", message: expect.stringMatching(/server could not be asked.*Try again/) });
  edge.fault = undefined;
  edge.peers.set(ID, found());
  later(61_000);
  await find();
});

test("a server that says nothing holds up no run that is stopped, and none whose answer is known", async () => {
  edge.peers.set(ID, found());
  book.follow(naming(ID, OTHER));
  await find();
  edge.fault = { paths: ["peers"], status: "silence" };
  later(11 * HOUR);
  await find();
  const stop = new AbortController();
  const waiting = book.find(OTHER, ANY, stop.signal);
  stop.abort();
  expect(await waiting).toMatchObject({ problem: { code: "peer_unavailable" } });
});

test("after a failure the server is asked again, at most once a minute, and less often while it says the same", async () => {
  edge.peers.set(ID, found());
  book.follow(naming(ID));
  const asks = async (ms: number, result: Parameters<PeerBook["report"]>[1] = NO_REPLY) => {
    book.report(ID, result);
    later(ms);
    const before = edge.asked.length;
    await find();
    return edge.asked.length - before;
  };
  await find();
  expect(await asks(1000)).toBe(0);
  expect(await asks(60_000)).toBe(1);
  expect(await asks(61_000)).toBe(0);
  expect(await asks(60_000)).toBe(1);
  expect(await asks(200_000)).toBe(0);
  expect(await asks(41_000)).toBe(1);
  edge.peers.set(ID, found({ port: 9000 }));
  expect(await asks(30 * 60_000)).toBe(1);
  expect((await find(ID, { ...ANY, reflector: true })).port).toBe(9000);
  expect(await asks(61_000)).toBe(1);
});

test("what went wrong on this host says nothing about the other", async () => {
  edge.peers.set(ID, found());
  book.follow(naming(ID));
  await find();
  for (const code of ["skipped", "tool_missing", "no_permission", "aborted"] as const) {
    book.report(ID, { status: "failed", error: { code, source: "agent", message: "" } });
  }
  later(61_000);
  await find();
  expect(edge.asked).toHaveLength(1);
});

test("an address that never worked gives way to the next; one that worked stays, or a broken path would pass for another's good one", async () => {
  edge.peers.set(ID, found({ addresses: ["198.51.100.7", "198.51.100.8", "2001:db8::7"] }));
  book.follow(naming(ID));
  const four: PeerWish = { ip_version: 4, reflector: false };
  expect((await find(ID, four)).address).toBe("198.51.100.7");
  book.report(ID, NO_REPLY);
  expect((await find(ID, four)).address).toBe("198.51.100.8");
  book.report(ID, { status: "ok", error: null });
  for (let failed = 0; failed < 10; failed += 1) book.report(ID, NO_REPLY);
  expect((await find(ID, four)).address).toBe("198.51.100.8");
  edge.peers.set(ID, found({ addresses: ["198.51.100.9", "198.51.100.8"] }));
  later(61_000);
  expect((await find(ID, four)).address).toBe("198.51.100.9");
});

test("the address is of the family that the test wants, else of one that this host has", async () => {
  edge.peers.set(ID, found());
  edge.peers.set(OTHER, found({ addresses: ["198.51.100.8"] }));
  book.follow(naming(ID, OTHER));
  expect((await find(ID, { ip_version: 6, reflector: false })).address).toBe("2001:db8::7");
  expect((await find(ID)).address).toBe("198.51.100.7");
  book = open([], [6]);
  expect((await find(ID)).address).toBe("2001:db8::7");
  expect((await problemOf(OTHER, { ip_version: 6, reflector: false })).message).toMatch(/no address for IPv6.*198\.51\.100\.8/);
});

test("an address that this host has itself is taken only where the other client has no other", async () => {
  // Bridges of container hosts have the same address everywhere.
  book = open(["172.17.0.1", "127.0.0.1"]);
  edge.peers.set(ID, found({ addresses: ["172.17.0.1", "198.51.100.7"] }));
  edge.peers.set(OTHER, found({ addresses: ["127.0.0.1", "172.17.0.1"] }));
  book.follow(naming(ID, OTHER));
  expect((await find(ID)).address).toBe("198.51.100.7");
  expect((await find(OTHER)).address).toBe("127.0.0.1");
});

test.each([
  ["unknown", "target", /retired or deleted/],
  ["not_yours", "agent", /no test of this client/],
  ["something_new", "target", /something_new/],
])("%s is said at once, as a fault of the %s", async (problem, source, words) => {
  edge.peers.set(ID, { problem });
  book.follow(naming(ID));
  expect(await problemOf()).toMatchObject({ source, message: expect.stringMatching(words) });
});

test("a client that is just being named has a moment to say where it is", async () => {
  edge.peers.set(ID, { problem: "no_address" });
  book.follow(naming(ID));
  const waiting = find();
  await vi.waitFor(() => expect(edge.asked.length).toBeGreaterThan(0));
  edge.peers.set(ID, found());
  expect((await waiting).address).toBe("198.51.100.7");
});

test("one without a reflector can be pinged but not measured against; a new test waits for it to open", async () => {
  edge.peers.set(ID, found({ port: null }));
  book.follow(naming(ID));
  expect((await find()).port).toBeNull();
  later(11_000);
  const wish = { ip_version: undefined, reflector: true } as const;
  expect(await problemOf(ID, wish)).toMatchObject({ source: "target", message: expect.stringMatching(/berlin.*--no-reflector/) });
  book.follow([...naming(ID), { test_id: `new.${ID}`, destination: `client:${ID}` }]);
  const waiting = find(ID, wish);
  const asked = edge.asked.length;
  await vi.waitFor(() => expect(edge.asked.length).toBeGreaterThan(asked));
  edge.peers.set(ID, found({ port: 8862 }));
  expect((await waiting).port).toBe(8862);
});

test("clients that no test names any more are forgotten, and all of them when this agent becomes another client", async () => {
  for (const id of [ID, OTHER]) edge.peers.set(id, found());
  book.follow(naming(ID, OTHER));
  await Promise.all([find(ID), find(OTHER)]);
  book.follow(naming(OTHER));
  book.follow(naming(ID, OTHER));
  await find(ID);
  expect(edge.asked.at(-1)).toEqual([ID]);
  book.forget();
  await Promise.all([find(ID), find(OTHER)]);
  expect(edge.asked.at(-1)?.toSorted(byText)).toEqual([ID, OTHER]);
});

test("a run against a client: the reflector knows the key, the result names the client", async () => {
  vi.useRealTimers();
  const secret = randomBytes(32);
  const reflector = new Reflector();
  await reflector.start({
    port: 0,
    host: "127.0.0.1",
    secrets: () => [{ from: 0, until: Number.POSITIVE_INFINITY, secret }],
  });
  const key = Buffer.from(deriveKey(secret, 7)).toString("base64url");
  edge.peers.set(ID, found({ addresses: ["127.0.0.1"], port: reflector.address?.port ?? null, key }));
  book.follow(naming(ID));
  const order = { type: "udp", destination: `client:${ID}`, params: { count: 5, timeout: 0.5 } };
  const result = await runTest(order, never, { peers: book });
  expect(result).toMatchObject({
    status: "ok",
    error: null,
    address: "127.0.0.1",
    destination: `client:${ID}`,
    metrics: { udp_sent: 5, udp_received: 5 },
    detail: { peer: { client_id: ID, name: "berlin" } },
  });
  const barred = await runTest(order, never, { peers: book, veto: vetoOf({ destinations: ["10.0.0.0/8"] }) });
  expect(barred.error).toMatchObject({ code: "not_consented", message: expect.stringContaining("127.0.0.1") });
  await reflector.stop();
});
