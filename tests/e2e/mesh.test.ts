// Three agents that measure each other by one test, over real sockets: every pair has its figures, an owner's no and a
// retirement are followed by all.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "#contract/result";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { Instance } from "../support/instance.ts";
import { until } from "../support/wait.ts";

const NAMES = ["berlin", "madrid", "oslo"] as const;
type Name = (typeof NAMES)[number];

let instance: Instance;
let api: Api;
let testId: string;
const agents = new Map<Name, AgentProcess>();

beforeAll(async () => {
  instance = await Instance.start({
    env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" },
  });
  api = await Api.signIn(instance.url);
  const token = await api.enrolmentToken();
  for (const name of NAMES) start(name, token);
  await Promise.all([...agents.values()].map((agent) => agent.connected()));
});

afterAll(async () => {
  for (const agent of agents.values()) await agent.dispose();
  await instance?.dispose();
});

function start(name: Name, token: string, more: { state?: string; args?: string[] } = {}): AgentProcess {
  const agent = new AgentProcess({ server: `http://127.0.0.1:${instance.port}`, token, name, ...more });
  agents.set(name, agent);
  return agent;
}

const agentOf = (name: Name): AgentProcess => {
  const agent = agents.get(name);
  if (agent === undefined) throw new Error(`${name} was not started`);
  return agent;
};

/** The newest result of every pair, as `from>to`. */
async function pairs(): Promise<Map<string, Result>> {
  const { clients } = await api.testDetail(testId);
  const found = clients.flatMap(({ name, peers }) =>
    peers.flatMap((peer): [string, Result][] => (peer.latest === null ? [] : [[`${name}>${peer.name}`, peer.latest]])),
  );
  return new Map(found);
}

const idOf = async (name: Name): Promise<string> => (await api.clients()).find((client) => client.name === name)?.id ?? "";

const tokenOf = (name: Name): string =>
  (JSON.parse(readFileSync(join(agentOf(name).state, "identity.json"), "utf8")) as { token: string }).token;

/** What an agent's token gets from the agent API. */
async function askPeers(token: string, client_ids: string[]) {
  const response = await fetch(`${instance.url}/api/agent/v1/peers`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ client_ids }),
  });
  return { status: response.status, body: (await response.json()) as { peers?: Record<string, unknown>[]; code?: string } };
}

/** Whether a run found its target. One on a busy machine says that its times are void, but what came back it has counted. */
const works = (result: Result | undefined) =>
  result?.metrics.udp_received === 20 && (result.status === "ok" || result.error?.code === "internal");

test("one test measures every pair within seconds of its making", async () => {
  const made = await api.createTest({
    name: "office to office",
    type: "udp",
    destination: "mesh",
    interval_s: 3,
    params: { count: 20, timeout: 0.5 },
    selector: { all: true },
  });
  testId = made.id;
  const began = performance.now();
  // A round that a busy machine voids is followed by the next.
  const measured = await until(
    "a result of every pair",
    60_000,
    pairs,
    (seen) => seen.size === 6 && [...seen.values()].every(works),
  );
  const took = (performance.now() - began) / 1000;
  console.log(`mesh made → all 6 pairs measured: ${took.toFixed(1)} s`);
  for (const [pair, result] of measured) {
    const [from, to] = pair.split(">");
    expect(result.detail.peer).toEqual({ client_id: result.peer_id, name: to });
    expect(result.destination).toBe(`client:${result.peer_id}`);
    expect(from).not.toBe(to);
  }
  // Three reflectors on one host: one has the port everybody wishes for at most.
  expect(new Set([...measured.values()].map(({ detail }) => detail.port)).size).toBe(3);
});

test("an owner who wants no reflector is not measured against, and measures on", async () => {
  const before = agentOf("oslo");
  await before.stop();
  const { state } = before;
  await start("oslo", "not needed any more", { state, args: ["--no-reflector"] }).connected();
  const isFailed = (result: Result | undefined) => result?.status === "failed";
  const seen = await until(
    "failures against oslo only",
    60_000,
    pairs,
    (all) =>
      isFailed(all.get("berlin>oslo")) &&
      isFailed(all.get("madrid>oslo")) &&
      works(all.get("oslo>berlin")) &&
      works(all.get("oslo>madrid")),
  );
  expect(seen.get("berlin>oslo")?.error?.source).toBe("target");
  expect(works(seen.get("berlin>madrid"))).toBe(true);
  const [told] = (await askPeers(tokenOf("berlin"), [await idOf("oslo")])).body.peers ?? [];
  expect(told).toMatchObject({ name: "oslo", port: null });
});

test("a retired client is out of the mesh at once, and its token gets no key", async () => {
  const [berlin, madrid] = [await idOf("berlin"), await idOf("madrid")];
  const [token, retired] = [tokenOf("berlin"), tokenOf("madrid")];
  expect((await askPeers(token, [madrid])).body.peers).toMatchObject([{ client_id: madrid, key: expect.any(String) }]);
  await api.retire(madrid);
  expect(await askPeers(token, [madrid])).toMatchObject({ body: { peers: [{ client_id: madrid, problem: "not_yours" }] } });
  expect(await askPeers(retired, [berlin])).toMatchObject({ status: 401, body: { code: "token_revoked" } });
  // Its agent holds an enrolment token that people's decision outlives: it ends.
  expect((await agentOf("madrid").exited).code).toBe(1);
  const left = await until("the mesh without madrid", 10_000, pairs, (all) =>
    [...all.keys()].every((pair) => !/madrid/.test(pair)),
  );
  expect([...left.keys()].sort((a, b) => a.localeCompare(b))).toEqual(["berlin>oslo", "oslo>berlin"]);
});
