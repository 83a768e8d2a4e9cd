// A real agent on a disk that is full: the dashboard hears of it while it lasts, what is lost is counted, and all goes on by
// itself when there is room.
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { freePort, Instance, newStateDir } from "../support/instance.ts";
import { readOutbox } from "../support/outbox.ts";
import { cannotMount, SmallDisk } from "../support/small-disk.ts";
import { until } from "../support/wait.ts";

const why = cannotMount("tmpfs");
const TESTS = 10;

let instance: Instance;
let api: Api;
let token: string;
let port: number;
const serverState = newStateDir();
const cleanUps: (() => unknown)[] = [];

const startServer = () =>
  Instance.start({
    state: serverState,
    port,
    env: { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" },
  });

beforeAll(async () => {
  if (why !== undefined) return;
  port = await freePort();
  instance = await startServer();
  api = await Api.signIn(instance.url);
  token = await api.enrolmentToken();
  for (let n = 0; n < TESTS; n++) {
    const params = { count: 1 };
    await api.createTest({
      name: `every second ${n}`,
      type: "tcp",
      destination: `127.0.0.1:${port}`,
      interval_s: 1,
      params,
      selector: { all: true },
    });
  }
});

afterAll(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await instance?.dispose();
});

const startAgent = (state: string, name: string) => {
  const agent = new AgentProcess({ server: `http://127.0.0.1:${port}`, token, name, state });
  cleanUps.push(() => agent.dispose());
  return agent;
};

const idOf = async (name: string) => {
  const found = await until(
    "the client",
    20_000,
    () => api.clients(),
    (all) => all.some((one) => one.name === name),
  );
  return found.find((one) => one.name === name)?.id ?? "";
};

/** Reading results opens a live lease, so that the agent uploads every few seconds. */
const lease = (id: string) => api.get(`/results?client_id=${id}&limit=1`, z.object({ items: z.array(z.unknown()) }));

/** The server's books have every number once. */
async function balance(id: string) {
  const { last_seq, results, hosts, dropped, missing, duplicates, rejected } = await api.ledger(id);
  expect({ missing, duplicates, rejected }).toEqual({ missing: [], duplicates: 0, rejected: 0 });
  expect(results + hosts + dropped).toBe(last_seq);
  return { last_seq, dropped };
}

test.skipIf(why !== undefined)("a disk that fills under a running agent", { timeout: 240_000 }, async () => {
  const disk = new SmallDisk("tmpfs", 1024 * 1024);
  cleanUps.push(() => disk.dispose());
  const agent = startAgent(join(disk.path, "state"), "fills");
  await agent.connected();
  const id = await idOf("fills");
  await lease(id);
  const at = (await api.ledger(id)).last_seq;
  disk.fill();
  // The room taken before is enough while the server takes what is measured.
  await until(
    "uploads from a full disk",
    30_000,
    () => api.ledger(id),
    ({ last_seq }) => last_seq > at + 3 * TESTS,
  );
  expect(await api.client(id)).toMatchObject({ status: expect.stringMatching(/online|testing/), outbox: { dropped: 0 } });
  await balance(id);
  // With the server away as well, the oldest go.
  await instance.stop();
  await agent.output.line(/the oldest are dropped/, 90_000);
  instance = await startServer();
  api = await Api.signIn(instance.url);
  const lossy = await until(
    "the loss on the client's page",
    90_000,
    () => api.client(id),
    ({ outbox }) => outbox.dropped > 0,
  );
  expect(lossy.outbox.problem).toBe("disk_full");
  const { last_seq } = await api.ledger(id);
  disk.clear();
  await lease(id);
  await until(
    "an end of the trouble",
    60_000,
    () => api.client(id),
    ({ outbox }) => outbox.problem === null,
  );
  await until(
    "new results",
    60_000,
    () => api.ledger(id),
    (ledger) => ledger.last_seq > last_seq + TESTS,
  );
  await agent.stop();
  const books = await balance(id);
  expect(books.dropped).toBe((await api.client(id)).outbox.dropped);
  const outbox = readOutbox(agent.outboxFile);
  expect(books.last_seq + outbox.waiting).toBe(outbox.next - 1);
});

test.skipIf(why !== undefined)("an agent that starts where nothing can be written any more", { timeout: 120_000 }, async () => {
  const disk = new SmallDisk("tmpfs", 2 * 1024 * 1024);
  cleanUps.push(() => disk.dispose());
  const state = join(disk.path, "state");
  const first = startAgent(state, "starts full");
  await first.connected();
  const id = await idOf("starts full");
  await first.killHard();
  for (const file of ["outbox.db", "outbox.db-wal"]) disk.remove(join("state", file));
  disk.fill();
  const second = startAgent(state, "starts full");
  await until(
    "the trouble on the client's page",
    30_000,
    () => api.client(id),
    ({ outbox }) => outbox.problem === "disk_full",
  );
  const from = (await api.ledger(id)).last_seq;
  await lease(id);
  await until(
    "results through memory",
    30_000,
    () => api.ledger(id),
    ({ last_seq }) => last_seq > from + 2 * TESTS,
  );
  expect((await api.clients()).filter(({ name }) => name === "starts full")).toHaveLength(1);
  disk.clear();
  await until(
    "an end of the trouble",
    30_000,
    () => api.client(id),
    ({ outbox }) => outbox.problem === null,
  );
  await second.stop();
  const books = await balance(id);
  const outbox = readOutbox(second.outboxFile);
  expect(books.last_seq + outbox.waiting).toBe(outbox.next - 1);
  expect(books.dropped).toBe(0);
});
