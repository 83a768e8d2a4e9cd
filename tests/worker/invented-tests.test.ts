// An agent chooses the test ids it reports. However many it makes up, its results are stored and its state stays small.
import { beforeAll, describe, expect, test } from "vitest";
import type { ClientDetail } from "#contract/api";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, createTest, pingResult, register, upload } from "./edge.ts";
import { evict, stateText } from "./inside.ts";

let admin: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});

const TOTAL = 2000;
const A_TIME = 250;
/** As long as an id may be. */
const invented = (seq: number) => `invented-${seq}-`.padEnd(64, "x");

async function uploadInvented(client: RegisterReply): Promise<number[]> {
  const sizes: number[] = [];
  for (let from = 1; from <= TOTAL; from += A_TIME) {
    const results = Array.from({ length: A_TIME }, (_, index) => pingResult(from + index, { test_id: invented(from + index) }));
    const body = upload(from, from + A_TIME - 1, { results });
    expect(await agentOf(client).post("/api/agent/v1/upload", body)).toEqual({ ack: from + A_TIME - 1 });
    sizes.push((await stateText(client.client_id)).length);
  }
  return sizes;
}

const detail = ({ client_id }: RegisterReply) => admin.get<ClientDetail>(`/api/v1/clients/${client_id}`);

async function allStored({ client_id }: RegisterReply, results: number): Promise<void> {
  const whole = { last_seq: results, results, rejected: 0, dropped: 0, missing: [], duplicates: 0 };
  expect(await admin.get(`/api/v1/clients/${client_id}/ledger`)).toMatchObject(whole);
}

describe("2,000 results of invented tests", () => {
  test("of a client whose instruction is known leave no trace in its state; its own test does", async () => {
    const client = await register();
    const { id } = await createTest(admin, { client_ids: [client.client_id] });
    const sizes = await uploadInvented(client);
    expect(Math.max(...sizes)).toBeLessThan(1024);
    await allStored(client, TOTAL);
    const { items } = await admin.get<{ items: { seq: number }[] }>(
      `/api/v1/results?client_id=${client.client_id}&test_id=${invented(7)}`,
    );
    expect(items.map(({ seq }) => seq)).toEqual([7]);
    await evict(client.client_id);
    const { socket, welcome } = await connect(client.token);
    expect(welcome.last_seq).toBe(TOTAL);
    socket.send({ type: "upload", ...upload(TOTAL + 1, TOTAL + 1, { results: [pingResult(TOTAL + 1, { test_id: id })] }) });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: TOTAL + 1 });
    expect((await detail(client)).latest.map(({ test_id }) => test_id)).toEqual([id]);
    expect(JSON.parse(await stateText(client.client_id))).toMatchObject({
      last_seq: TOTAL + 1,
      latest: { [id]: { seq: TOTAL + 1 } },
      sparks: { [id]: [0.05] },
    });
    await allStored(client, TOTAL + 1);
  });

  test("of a client whose instruction is not known yet: the state stays small, and is put right by its greeting", async () => {
    const client = await register();
    const sizes = await uploadInvented(client);
    // At most 200 tests of before and those of the newest upload.
    expect(Math.max(...sizes)).toBeLessThan(96 * 1024);
    expect(sizes.at(-1)).toBeLessThan(1.05 * (sizes[2] ?? 0));
    await evict(client.client_id);
    const { socket } = await connect(client.token);
    socket.send({
      type: "upload",
      ...upload(TOTAL + 1, TOTAL + 1, { results: [pingResult(TOTAL + 1, { test_id: "another" })] }),
    });
    expect(await socket.next("ack")).toEqual({ type: "ack", to: TOTAL + 1 });
    expect((await stateText(client.client_id)).length).toBeLessThan(1024);
    expect((await detail(client)).latest).toEqual([]);
    await allStored(client, TOTAL + 1);
  });
});
