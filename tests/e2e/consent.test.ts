// An owner's no, against a server that asks all the same: the agent itself refuses, says so in a result, and sends nothing.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CreateTest, pageOf } from "#contract/api";
import { resultSchema } from "#contract/result";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { Instance, newStateDir } from "../support/instance.ts";
import { until } from "../support/wait.ts";

const CONSENT = {
  types: ["ping", "tcp", "http"],
  destinations: ["127.0.0.0/8"],
  forbidden_destinations: ["127.0.0.2", "secret.localhost"],
  min_interval_s: 5,
  max_packets_per_s: 10,
  self_test: false,
};

let instance: Instance;
let api: Api;
let agent: AgentProcess;
let clientId: string;
/** What came in at places that are forbidden. */
let intrusions = 0;
let forbiddenPort: number;
let udpPort: number;
let webPort: number;
const closers: (() => void)[] = [];

beforeAll(async () => {
  const guarded = createServer((socket) => {
    intrusions += 1;
    socket.destroy();
  }).listen(0, "127.0.0.2");
  const listener = createSocket("udp4", () => {
    intrusions += 1;
  });
  listener.bind(0, "127.0.0.1");
  const web = createWebServer((request, response) => {
    if (request.url === "/away") response.writeHead(302, { location: `http://127.0.0.2:${forbiddenPort}/` }).end();
    else response.end("fine");
  }).listen(0, "127.0.0.1");
  await Promise.all([once(guarded, "listening"), once(listener, "listening"), once(web, "listening")]);
  closers.push(
    () => guarded.close(),
    () => listener.close(),
    () => web.close(),
  );
  forbiddenPort = (guarded.address() as AddressInfo).port;
  udpPort = listener.address().port;
  webPort = (web.address() as AddressInfo).port;
  instance = await Instance.start({
    env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" },
  });
  api = await Api.signIn(instance.url);
  agent = await start(newStateDir(), CONSENT, await api.enrolmentToken());
  clientId = (await api.clients()).find(({ name }) => name === "guarded")?.id ?? "";
});

afterAll(async () => {
  for (const close of closers) close();
  await agent?.dispose();
  await instance?.dispose();
});

async function start(state: string, consent: object, token: string): Promise<AgentProcess> {
  const file = join(state, "consent.json");
  writeFileSync(file, `// what this host allows\n${JSON.stringify(consent, null, 2)}\n`);
  const started = new AgentProcess({
    server: `http://127.0.0.1:${instance.port}`,
    token,
    name: "guarded",
    state,
    args: ["--consent", file],
  });
  await started.connected();
  return started;
}

const create = (change: Pick<CreateTest, "name" | "type" | "destination"> & Partial<CreateTest>) =>
  api.createTest({ interval_s: 60, selector: { all: true }, ...change });

/** A test's results, newest first. */
const resultsOf = async (testId: string) => (await api.get(`/results?test_id=${testId}`, pageOf(resultSchema))).items;

async function refusalOf(testId: string, message: RegExp): Promise<void> {
  const [result] = await until(
    `a result of ${testId}`,
    20_000,
    () => resultsOf(testId),
    (all) => all.length > 0,
  );
  expect(result).toMatchObject({ status: "failed", error: { code: "not_consented", source: "agent" } });
  expect(result?.error?.message).toMatch(message);
  expect(new Set(Object.values(result?.metrics ?? {}))).toEqual(new Set([null]));
  expect(new Set(Object.values(result?.reasons ?? {}))).toEqual(new Set(["not_applicable"]));
}

test("the server is told what the host allows", async () => {
  expect((await api.client(clientId)).consent).toEqual(CONSENT);
});

test("what is forbidden is refused by the agent and recorded; what is allowed runs", async () => {
  const web = `127.0.0.1:${webPort}`;
  const allowed = await create({ name: "allowed", type: "tcp", destination: web, params: { count: 2 } });
  const made = {
    type: await create({ name: "type", type: "udp", destination: `127.0.0.1:${udpPort}`, params: { count: 5 } }),
    destination: await create({ name: "destination", type: "tcp", destination: `127.0.0.2:${forbiddenPort}` }),
    redirect: await create({ name: "redirect", type: "http", destination: `http://${web}/away` }),
    name: await create({ name: "name", type: "http", destination: `http://secret.localhost:${webPort}/` }),
    outside: await create({ name: "outside", type: "tcp", destination: "[::1]:80" }),
    interval: await create({ name: "interval", type: "tcp", destination: web, interval_s: 2, params: { count: 1 } }),
    rate: await create({ name: "rate", type: "tcp", destination: web, params: { count: 100, interval: 0.05 } }),
  };
  await refusalOf(made.type.id, /does not allow udp tests/);
  await refusalOf(made.destination.id, /forbids 127\.0\.0\.2/);
  await refusalOf(made.redirect.id, /forbids 127\.0\.0\.2/);
  await refusalOf(made.name.id, /forbids secret\.localhost/);
  await refusalOf(made.outside.id, /does not allow ::1/);
  await refusalOf(made.interval.id, /at least 5 s between two runs/);
  await refusalOf(made.rate.id, /allows 10 packets or requests a second; this run may send up to 20/);
  const [fine] = await until(
    "the allowed one",
    20_000,
    () => resultsOf(allowed.id),
    (all) => all.length > 0,
  );
  expect(fine).toMatchObject({ status: "ok", error: null, metrics: { tcp_connected: 2 } });
  expect(intrusions).toBe(0);
});

test("an order to run a forbidden test now is refused and answered", async () => {
  const paused = await create({ name: "ordered", type: "tcp", destination: `127.0.0.2:${forbiddenPort}`, enabled: false });
  expect(await resultsOf(paused.id)).toEqual([]);
  await api.runNow(paused.id);
  await refusalOf(paused.id, /forbids 127\.0\.0\.2/);
  expect((await resultsOf(paused.id))[0]?.run_id).not.toBeNull();
  expect(intrusions).toBe(0);
});

test("refusals are counted in the agent's own figures, apart from what it ran", async () => {
  const counted = async () => (await api.client(clientId)).host?.metrics ?? {};
  const metrics = await until("the count", 20_000, counted, ({ agent_tests_refused: refused }) => Number(refused) >= 7);
  expect(Number(metrics.agent_tests_failed)).toBe(0);
});

test("a file that changed while the agent was away is told and followed", async () => {
  await agent.stop();
  const { state } = agent;
  agent = await start(state, { ...CONSENT, types: ["udp"] }, "not needed any more");
  const consent = async () => (await api.client(clientId)).consent;
  await until("the new consent", 10_000, consent, (told) => told?.types?.includes("udp") === true);
});
