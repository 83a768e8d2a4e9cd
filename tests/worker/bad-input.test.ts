// What strangers and broken programs send to the web and agent API. Every refusal is problem+json and stores nothing.
import { beforeAll, describe, expect, test } from "vitest";
import { problemSchema } from "#contract/problem";
import {
  type Asker,
  agentOf,
  asAdmin,
  byText,
  createTest,
  ENROLMENT,
  fetchEdge,
  gzip,
  pathsOf,
  pingResult,
  problemOf,
  register,
  registration,
  upload,
} from "./edge.ts";
import { dumpD1, ringRows } from "./inside.ts";

const JSON_TYPE = { "content-type": "application/json" };
let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

/** The refusal, checked to be complete and of this status. */
async function refused(response: Response, status: number) {
  const problem = problemSchema.strict().parse(await problemOf(response));
  expect({ status: response.status, named: problem.status }, problem.detail).toEqual({ status, named: status });
  expect(problem.type).toBe(`urn:streamswarm:problem:${problem.code}`);
  expect(problem.title.length * problem.detail.length).toBeGreaterThan(0);
  return problem;
}

/** Runs `ask` and checks that D1 is row for row what it was. */
async function storesNothing<Reply>(ask: () => Promise<Reply>): Promise<Reply> {
  const before = await dumpD1();
  const reply = await ask();
  expect(await dumpD1()).toEqual(before);
  return reply;
}

const test1 = (change: object) => ({ name: "t", type: "ping", destination: "127.0.0.1", interval_s: 10, ...change });
const post = (change: object) => admin.send("POST", "/api/v1/tests", test1(change));

describe("web API bodies", () => {
  test.each(["{", "", "[1,", '{"name": undefined}', "\u0000"])("body %j is not JSON: 400 malformed", async (text) => {
    const reply = await storesNothing(() => admin.send("POST", "/api/v1/tests", text));
    expect((await refused(reply, 400)).code).toBe("malformed");
  });

  test("unknown fields are each named", async () => {
    const reply = await storesNothing(() => post({ colour: "red", params: { ttl: 3, flood: true }, schedule: { cron: "*" } }));
    expect(pathsOf(await refused(reply, 422))).toEqual(expect.arrayContaining(["colour", "schedule.cron"]));
    const inner = await storesNothing(() => post({ params: { ttl: 3, flood: true } }));
    expect(pathsOf(await refused(inner, 422))).toEqual(["params.ttl", "params.flood"]);
  });

  test("every field of the wrong type is named", async () => {
    const reply = await storesNothing(() =>
      post({ name: 7, interval_s: "10", enabled: "yes", client_ids: "all", thresholds: { ping_rtt_median: "low" } }),
    );
    const wrong = ["client_ids", "enabled", "interval_s", "name", "thresholds.ping_rtt_median"];
    expect(new Set(pathsOf(await refused(reply, 422)))).toEqual(new Set(wrong));
    for (const body of ["null", "[]", '"text"', "3"]) await refused(await admin.send("POST", "/api/v1/tests", body), 422);
  });

  test.each([0, -1, 1.5, 86_401])("interval %d is refused", async (interval_s) => {
    expect(pathsOf(await refused(await post({ interval_s }), 422))).toEqual(["interval_s"]);
  });

  test("every bad field is named at once, in words a person understands", async () => {
    const problem = await refused(await storesNothing(() => post({ name: "", packet_size: 70_000 })), 422);
    expect(new Map(problem.errors.map(({ path, message }) => [path, message]))).toEqual(
      new Map([
        ["name", "is empty"],
        ["packet_size", "must be at most 65535"],
      ]),
    );
  });

  test("a schedule in a time zone that nobody knows is refused by POST and PATCH, a known one is kept", async () => {
    const window = (time_zone: string) => ({ windows: [{ days: ["mon"], from: "08:00", to: "18:00", time_zone }] });
    const { id } = await createTest(admin, { schedule: window("Europe/Oslo") });
    for (const time_zone of ["Mars/Olympus_Mons", "Europe/Oslo\u0000", "../etc/passwd", "__proto__"]) {
      const change = { schedule: window(time_zone) };
      for (const ask of [() => post(change), () => admin.send("PATCH", `/api/v1/tests/${id}`, change)]) {
        const { errors } = await refused(await storesNothing(ask), 422);
        expect(errors).toEqual([
          { path: "schedule.windows.0.time_zone", message: expect.stringContaining("is not a time zone") },
        ]);
      }
    }
    expect(await admin.get(`/api/v1/tests/${id}`)).toMatchObject({ schedule: window("Europe/Oslo") });
  });

  test("unknown clients are named by their place", async () => {
    const { client_id } = await register();
    const reply = await storesNothing(() => post({ client_ids: ["nobody", client_id, "0000000000000000"] }));
    expect(pathsOf(await refused(reply, 422))).toEqual(["client_ids.0", "client_ids.2"]);
  });

  test("5 MiB are refused with and without a declared length", async () => {
    const text = JSON.stringify(test1({ name: "x".repeat(5 * 1024 * 1024) }));
    const stream = () => new Blob([text]).stream();
    const declared = await storesNothing(() => admin.send("POST", "/api/v1/tests", text));
    expect((await refused(declared, 413)).code).toBe("too_large");
    const streamed = await fetchEdge("/api/v1/tests", {
      method: "POST",
      headers: { ...admin.headers, ...JSON_TYPE },
      body: stream(),
    });
    await refused(streamed, 413);
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data"])(
    "content type %s: 415",
    async (type) => {
      const reply = await storesNothing(() =>
        admin.send("POST", "/api/v1/tests", JSON.stringify(test1({})), { "content-type": type }),
      );
      expect((await refused(reply, 415)).code).toBe("unsupported_media_type");
    },
  );
});

describe("destinations", () => {
  const hostile = [
    "-f",
    "--help",
    "$(reboot)",
    "a;reboot",
    "`reboot`",
    "a|b",
    "a\nb",
    "two words",
    "host\u0000",
    "a&b",
    "a'b",
    'a"b',
  ];
  const numbers = ["0177.0.0.1", "0x7f000001", "0x7f.1", "127.1", "2130706433", "1.2.3.4.5", "256.1.1.1", "010.1.1.1"];
  const notHosts = [
    "https://example.com",
    "example.com:80",
    "example.com/path",
    "user@example.com",
    "[::1]",
    "a..b",
    "-a.example",
  ];
  const notOne = ["169.254.169.254", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1"];
  const v6 = ["::", "ff02::1", "::ffff:127.0.0.1", "2001:db8::1%eth0", "1::2::3"];

  test.each([...hostile, ...numbers, ...notHosts, ...notOne, ...v6, "", "   ", "a".repeat(64), `${"a.".repeat(130)}b`])(
    "%j is refused",
    async (destination) => {
      const problem = await refused(await post({ destination }), 422);
      expect(pathsOf(problem)).toEqual(["destination"]);
      expect(problem.errors[0]?.message.length).toBeGreaterThan(5);
    },
  );

  test("none of them was stored, by POST or PATCH", async () => {
    const { id } = await createTest(admin);
    const reply = await storesNothing(() => admin.send("PATCH", `/api/v1/tests/${id}`, { destination: "$(reboot)" }));
    expect(pathsOf(await refused(reply, 422))).toEqual(["destination"]);
    const { items } = await admin.get<{ items: { destination: string }[] }>("/api/v1/tests");
    expect(new Set(items.map((item) => item.destination))).toEqual(new Set(["127.0.0.1"]));
  });
});

describe("packet size", () => {
  test.each([
    ["127.0.0.1", 0],
    ["127.0.0.1", 65_508],
    ["127.0.0.1", 65_536],
    ["::1", 65_528],
    ["example.com", 65_508],
  ])("to %s with %d bytes is refused and says why", async (destination, packet_size) => {
    const problem = await refused(await post({ destination, packet_size }), 422);
    expect(pathsOf(problem)).toEqual(["packet_size"]);
    if (packet_size > 65_507 && packet_size < 65_536)
      expect(problem.errors[0]?.message).toMatch(/IPv[46] echo request carries at most 655[02]7 bytes/);
  });

  test.each([
    ["127.0.0.1", 1],
    ["127.0.0.1", 65_507],
    ["::1", 65_527],
  ])("to %s with %d bytes is fine", async (destination, packet_size) => {
    expect((await post({ destination, packet_size })).status).toBe(201);
  });
});

describe("agent API bodies", () => {
  const send = (token: string, body: BodyInit, headers: Record<string, string> = {}) =>
    fetchEdge("/api/agent/v1/upload", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, ...JSON_TYPE, ...headers },
      body,
    });

  test("bodies that are no upload are refused; the client's own upload passes after them", async () => {
    const client = await register();
    const bomb = await gzip(`{"boot":"b","from":1,"to":1,"results":[],"x":"${" ".repeat(5 * 1024 * 1024)}"}`);
    expect(bomb.byteLength).toBeLessThan(16 * 1024);
    const big = JSON.stringify(upload(1, 1, { padding: "x".repeat(5 * 1024 * 1024) }));
    const tries: [string, Response, number][] = [
      ["not JSON", await send(client.token, "{"), 400],
      ["not UTF-8", await send(client.token, new Uint8Array([0x7b, 0xff, 0x7d])), 400],
      ["says gzip, is not", await send(client.token, "{}", { "content-encoding": "gzip" }), 400],
      ["gzip cut short", await send(client.token, bomb.slice(0, 200), { "content-encoding": "gzip" }), 400],
      ["unknown encoding", await send(client.token, "{}", { "content-encoding": "br" }), 415],
      ["gzip bomb", await send(client.token, bomb, { "content-encoding": "gzip" }), 413],
      ["5 MiB", await send(client.token, big), 413],
      ["5 MiB, length unknown", await send(client.token, new Blob([big]).stream()), 413],
      ["to before from", await send(client.token, JSON.stringify(upload(1, 1, { from: 5, to: 4 }))), 422],
      ["no numbers", await send(client.token, JSON.stringify({ boot: "b", results: [] })), 422],
      ["600 items", await send(client.token, JSON.stringify({ ...upload(1, 1), results: Array(600).fill({}) })), 422],
    ];
    for (const [name, response, status] of tries)
      expect([name, (await refused(response, status)).status]).toEqual([name, status]);
    expect(await ringRows(client.client_id)).toBe(0);
    expect(await agentOf(client).post("/api/agent/v1/upload", upload(1, 2))).toEqual({ ack: 2 });
  });

  test("gzip is welcome", async () => {
    const client = await register();
    const reply = await send(client.token, await gzip(JSON.stringify(upload(1, 3))), { "content-encoding": "gzip" });
    expect(await reply.json()).toEqual({ ack: 3 });
  });

  test("a registration without its fields makes no client", async () => {
    const reply = await storesNothing(() =>
      agentOf({ token: ENROLMENT }).send("POST", "/api/agent/v1/register", registration({ install_id: 5, name: "" })),
    );
    expect(pathsOf(await refused(reply, 422)).sort(byText)).toEqual(["install_id", "name"]);
  });
});

describe("addresses and queries", () => {
  test.each([
    "/api/v1/results?limit=0",
    "/api/v1/results?limit=1001",
    "/api/v1/results?status=great",
    "/api/v1/results?from=yesterday",
    "/api/v1/results?cursor=garbage",
    `/api/v1/results?cursor=${btoa('{"group":-1,"before":{}}')}`,
    `/api/v1/results?cursor=${btoa("null")}`,
    "/api/v1/clients?status=happy",
    "/api/v1/audit?cursor=x",
    "/api/v1/series?metric=ping_rtt_median",
    "/api/v1/series?client_id=x&metric=ping_rtt_median&points=2001",
  ])("%s: 400", async (path) => {
    expect((await refused(await admin.send("GET", path), 400)).code).toBe("bad_query");
  });

  test.each([
    "/api/v1/clients/..%2f..%2fetc%2fpasswd",
    "/api/v1/clients/%00",
    "/api/v1/clients/__proto__",
    "/api/v1/results/constructor.1",
    "/api/v1/results/x.1e3",
    "/api/v1/tests/%27%20OR%201=1",
    "/api/v1/nowhere",
    "/api/v2/clients",
  ])("%s: 404 and no object made", async (path) => {
    await refused(await storesNothing(() => admin.send("GET", path)), 404);
  });
});

test("keys of Object.prototype are data like any other", async () => {
  const raw = (inner: string) => JSON.stringify(test1({ params: "@" })).replace('"@"', inner);
  await refused(await admin.send("POST", "/api/v1/tests", raw('{"constructor":{"prototype":{"polluted":1}}}')), 422);
  await admin.send("POST", "/api/v1/tests", raw('{"__proto__":{"polluted":1}}'));
  const client = await register({ tags: JSON.parse('{"__proto__":"x","constructor":"y","toString":"z"}') });
  const hostile = pingResult(1, { test_id: "constructor", metrics: JSON.parse('{"__proto__":1,"constructor":2,"ping_sent":3}') });
  const results = [hostile, pingResult(2, { test_id: "__proto__" }), pingResult(3, { test_id: "toString" })];
  expect(await agentOf(client).post("/api/agent/v1/upload", upload(1, 3, { results }))).toEqual({ ack: 3 });
  expect(await admin.get(`/api/v1/results/${client.client_id}.1`)).toMatchObject({ metrics: { ping_sent: 3 } });
  const { clients } = await admin.get<{ clients: { id: string; spark: unknown[] }[] }>("/api/v1/fleet");
  expect(clients.map(({ id }) => id)).toContain(client.client_id);
  const plain = await register();
  const { items } = await admin.get<{ items: { id: string }[] }>("/api/v1/clients?tag=constructor");
  expect(items.map(({ id }) => id)).toEqual([client.client_id]);
  expect(plain.client_id).not.toBe(client.client_id);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});
