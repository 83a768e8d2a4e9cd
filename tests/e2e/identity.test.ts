// Who an agent is, when its state directory is copied, damaged or lost: nothing stored is lost, nothing is stored twice.
import { cpSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api, type Ledger } from "../support/api.ts";
import { Instance, newStateDir } from "../support/instance.ts";
import { until } from "../support/wait.ts";

let instance: Instance;
let api: Api;
let token: string;
const agents: AgentProcess[] = [];

beforeAll(async () => {
  instance = await Instance.start({
    env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" },
  });
  api = await Api.signIn(instance.url);
  token = await api.enrolmentToken();
  await api.createTest({
    name: "every second",
    type: "ping",
    destination: "127.0.0.1",
    interval_s: 1,
    params: { count: 1 },
    selector: { all: true },
  });
});

afterAll(async () => {
  for (const agent of agents) await agent.dispose();
  await instance?.dispose();
});

function startAgent(name: string, state?: string): AgentProcess {
  const agent = new AgentProcess({ server: `http://127.0.0.1:${instance.port}`, token, name, ...(state ? { state } : {}) });
  agents.push(agent);
  return agent;
}

const clientsNamed = async (name: string) => (await api.clients()).filter((client) => client.name === name);

async function only(name: string): Promise<string> {
  const [client] = await until(
    `${name} registers`,
    20_000,
    () => clientsNamed(name),
    (found) => found.length === 1,
  );
  return client?.id ?? "";
}

/** The ledger once it has grown past a number. Reading the series opens a live lease, so that the agent uploads often. */
async function ledgerPast(id: string, seq: number): Promise<Ledger> {
  const read = async () => {
    await api.series({ client_id: id, metric: "ping_rtt_median" });
    return api.ledger(id);
  };
  return until(`${id} stores past ${seq}`, 30_000, read, (ledger) => ledger.last_seq > seq);
}

function expectWhole(ledger: Ledger): void {
  expect(ledger).toMatchObject({ missing: [], duplicates: 0, rejected: 0, dropped: 0 });
  expect(ledger.results + ledger.hosts).toBe(ledger.last_seq);
}

test("a copied state directory: the second live copy becomes a client of its own", async () => {
  const name = "copied";
  const first = startAgent(name);
  await first.connected();
  const id = await only(name);
  await ledgerPast(id, 2);
  const copy = newStateDir();
  cpSync(first.state, copy, { recursive: true, filter: (path) => !path.endsWith(".lock") });
  startAgent(name, copy);
  const both = await until(
    "two clients",
    30_000,
    () => clientsNamed(name),
    (found) => found.length === 2,
  );
  const other = both.find((client) => client.id !== id)?.id ?? "";
  const [own, made] = [await ledgerPast(id, (await api.ledger(id)).last_seq + 3), await ledgerPast(other, 3)];
  console.log("after the copy", { original: own, copy: made });
  expectWhole(own);
  expectWhole(made);
  expect((await clientsNamed(name)).map(({ status }) => status)).toEqual(["online", "online"]);
});

test("a lost outbox: the same client goes on after the last stored number", async () => {
  const name = "lost-outbox";
  const agent = startAgent(name);
  await agent.connected();
  const id = await only(name);
  await ledgerPast(id, 3);
  await agent.stop();
  const before = await api.ledger(id);
  for (const end of ["", "-wal", "-shm"]) rmSync(agent.outboxFile + end, { force: true });
  await startAgent(name, agent.state).connected();
  const after = await ledgerPast(id, before.last_seq + 3);
  console.log("after the loss", { before, after });
  expectWhole(after);
  expect(after.results).toBeGreaterThan(before.results);
  expect(await clientsNamed(name)).toHaveLength(1);
});

test("a lost state directory: a new client, and what the old one stored stays as it was", async () => {
  const name = "lost-state";
  const agent = startAgent(name);
  await agent.connected();
  const id = await only(name);
  await ledgerPast(id, 3);
  await agent.stop();
  const before = await api.ledger(id);
  rmSync(agent.state, { recursive: true, force: true });
  await startAgent(name).connected();
  const both = await until(
    "two clients",
    20_000,
    () => clientsNamed(name),
    (found) => found.length === 2,
  );
  const other = both.find((client) => client.id !== id)?.id ?? "";
  expectWhole(await ledgerPast(other, 3));
  expect(await api.ledger(id)).toEqual(before);
});
