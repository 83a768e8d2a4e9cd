// What the fleet shows of a client: nothing of one that is gone, and its figures again after objects left memory.
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { FleetClient } from "#contract/api";
import { fleet } from "../../worker/env.ts";
import { type Asker, agentOf, asAdmin, asPerson, connect, createTest, hostSample, register, Socket } from "./edge.ts";
import { edgeEnv, evict, evictFleet } from "./inside.ts";

type Lines = { type: string; clients: FleetClient[] };
type Summary = { type: string; client: FleetClient };

let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

async function onFleetPage(): Promise<string[]> {
  const socket = await Socket.open("/api/v1/fleet/live", admin.headers);
  const { clients } = await socket.next<Lines>("snapshot");
  socket.close();
  await socket.closed;
  return clients.map(({ id }) => id);
}

const lineOf = async (id: string) =>
  (await admin.get<{ clients: FleetClient[] }>("/api/v1/fleet")).clients.find((line) => line.id === id);

describe("a client that is gone", () => {
  test("retired: listing clients does not bring it back to the page", async () => {
    const { client_id } = await register();
    expect(await onFleetPage()).toContain(client_id);
    await admin.send("PATCH", `/api/v1/clients/${client_id}`, { status: "retired" });
    await admin.get("/api/v1/clients");
    expect(await onFleetPage()).not.toContain(client_id);
  });

  test("deleted: a report that comes late, after the fleet left memory, does not either", async () => {
    const { client_id } = await register();
    const line = await lineOf(client_id);
    await admin.send("DELETE", `/api/v1/clients/${client_id}`);
    await evictFleet();
    if (line === undefined) throw new Error("the fleet did not know the client");
    await fleet(edgeEnv).report(line, true);
    expect(await onFleetPage()).not.toContain(client_id);
  });
});

describe("after the client's object left memory while the fleet is watched, figures come again", () => {
  test.each(["its results", "its page"])("though somebody opened %s first", async (what) => {
    const { client_id, token } = await register();
    const { socket: agent } = await connect(token);
    await vi.waitFor(async () => expect(await lineOf(client_id)).toMatchObject({ status: "online" }));
    const watcher = await Socket.open("/api/v1/fleet/live", admin.headers);
    await agent.next("live");
    await evict(client_id);
    if (what === "its results") await admin.get(`/api/v1/results?client_id=${client_id}`);
    else await (await Socket.open(`/api/v1/clients/${client_id}/live`, admin.headers)).next("snapshot");
    agent.send({ type: "sample", host: hostSample(1, { metrics: { cpu_percent: 41 } }) });
    let shown: FleetClient | undefined;
    while (shown?.id !== client_id || shown.headline.cpu_percent === undefined) {
      shown = (await watcher.next<Summary>("summary")).client;
    }
    expect(shown.headline.cpu_percent).toBe(41);
    watcher.close();
    agent.close(1000, "stopped");
  });
});

describe("somebody limited to a site", () => {
  test("a token they made adds clients at that site only", async () => {
    const person = await asPerson(admin, "user", ["Oslo"]);
    const { secret } = await person.post<{ secret: string }>("/api/v1/tokens", { kind: "enrolment", name: "Oslo", site: "Oslo" });
    const there = await register({}, secret);
    expect(await admin.get(`/api/v1/clients/${there.client_id}`)).toMatchObject({ site: "Oslo" });
    await expect(register({ site: "Rome" }, secret)).rejects.toThrow("403");
  });

  test.each([{}, { selector: { site: "Ulm" } }])("still sees a test they made that nobody runs yet: %j", async (change) => {
    const person = await asPerson(admin, "user", ["Ulm"]);
    const { id } = await createTest(person, change);
    expect((await person.send("GET", `/api/v1/tests/${id}`)).status).toBe(200);
    expect((await person.get<{ items: { id: string }[] }>("/api/v1/tests")).items.map((one) => one.id)).toContain(id);
  });
});

test("an agent over HTTPS that was upgraded says so with its heartbeat", async () => {
  const client = await register();
  await agentOf(client).post("/api/agent/v1/heartbeat", { version: "9.9.9", boot: "b", capabilities: { ping: "newer" } });
  const shown = await admin.get(`/api/v1/clients/${client.client_id}`);
  expect(shown).toMatchObject({ version: "9.9.9", capabilities: { ping: "newer" } });
});
