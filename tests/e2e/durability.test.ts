// Nothing is lost and nothing is stored twice when the server dies in the middle of uploads, again and again.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { CADENCE } from "#contract/limits";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { freePort, Instance, newStateDir } from "../support/instance.ts";
import { readOutbox } from "../support/outbox.ts";
import { until } from "../support/wait.ts";

const AGENTS = 5;
const DEATHS = 5;
/** New numbers every client stores between two deaths. */
const PROGRESS = 4;

const state = newStateDir();
let port: number;
let instance: Instance;
let api: Api;
let ids: string[];
const agents: AgentProcess[] = [];

const startServer = () =>
  Instance.start({
    state,
    port,
    env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" },
  });

beforeAll(async () => {
  port = await freePort();
  instance = await startServer();
  api = await Api.signIn(instance.url);
  const token = await api.enrolmentToken();
  for (let n = 1; n <= AGENTS; n++) {
    agents.push(new AgentProcess({ server: `http://127.0.0.1:${port}`, token, name: `durable-${n}` }));
  }
  await Promise.all(agents.map((agent) => agent.connected()));
  ids = (await api.clients()).map(({ id }) => id);
  expect(ids).toHaveLength(AGENTS);
  const params = { count: 1 };
  await api.createTest({
    name: "every second",
    type: "ping",
    destination: "127.0.0.1",
    interval_s: 1,
    params,
    selector: { all: true },
  });
});

afterAll(async () => {
  for (const agent of agents) await agent.dispose();
  await instance?.dispose();
});

/** Newest stored number of every client. Reading results opens a live lease, so that the agents upload every few seconds. */
async function stored(): Promise<number[]> {
  const anything = z.object({ items: z.array(z.unknown()) });
  await Promise.all(ids.map((id) => api.get(`/results?client_id=${id}&limit=1`, anything)));
  return Promise.all(ids.map(async (id) => (await api.ledger(id)).last_seq));
}

/** Every client has something new stored: it found its way back, whatever the server held when it came up. */
async function progressed(): Promise<void> {
  const from = await stored();
  await until("progress of every client", 90_000, stored, (now) => now.every((seq, at) => seq >= (from[at] ?? 0) + PROGRESS));
}

test(`${AGENTS} agents, ${DEATHS} deaths of the server: every number is stored once`, { timeout: 240_000 }, async () => {
  await progressed();
  for (let death = 1; death <= DEATHS; death++) {
    // Anywhere between two uploads, or in the middle of one.
    await delay(Math.random() * CADENCE.liveUploadS * 1000);
    await instance.killHard();
    const killed = performance.now();
    instance = await startServer();
    api = await Api.signIn(instance.url);
    const back = performance.now();
    await progressed();
    const took = [back - killed, performance.now() - back].map((ms) => (ms / 1000).toFixed(1));
    console.log(`death ${death}: server back after ${took[0]} s, every client ${PROGRESS} numbers further after ${took[1]} s`);
  }
  await Promise.all(agents.map((agent) => agent.stop()));
  const table = await Promise.all(ids.map(account));
  console.table(table);
  for (const line of table) {
    expect(line).toMatchObject({ missing: 0, duplicates: 0, rejected: 0, dropped: 0, stored: line.last_seq });
    expect(line.last_seq + line.waiting).toBe(line.measured);
    if (line.waiting > 0) expect(line.waits_from).toBe(line.last_seq + 1);
    expect(line.measured).toBeGreaterThanOrEqual((DEATHS + 1) * PROGRESS);
  }
});

/** One client's books: what its object holds and what still waits in its agent's outbox. */
async function account(id: string) {
  const { name } = await api.client(id);
  const { last_seq, results, hosts, rejected, dropped, missing, duplicates } = await api.ledger(id);
  const outbox = readOutbox(agents.find((agent) => agent.name === name)?.outboxFile ?? "");
  return {
    client: name,
    measured: outbox.next - 1,
    last_seq,
    stored: results + hosts,
    results,
    hosts,
    rejected,
    dropped,
    missing: missing.reduce((sum, [from, to]) => sum + to - from + 1, 0),
    duplicates,
    waiting: outbox.waiting,
    waits_from: outbox.first,
  };
}
