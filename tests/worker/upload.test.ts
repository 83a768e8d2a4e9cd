// Every result exactly once, at the price of one row: repeats, overlaps, gaps, races, both transports, evictions.
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { RegisterReply } from "#contract/wire";
import { type Asker, agentOf, asAdmin, connect, hostSample, pingResult, register, type Socket, upload } from "./edge.ts";
import { alarmOf, asksOfD1, changesOf, dumpD1, evict, ringRows } from "./inside.ts";

let admin: Asker;
let client: RegisterReply;
let agent: Asker;

beforeAll(async () => {
  admin = await asAdmin();
});
beforeEach(async () => {
  client = await register({ version: "0.0.9" });
  agent = agentOf(client);
});

const ledger = () => admin.get(`/api/v1/clients/${client.client_id}/ledger`);
const over = {
  https: (body: object) => agent.post("/api/agent/v1/upload", body),
  socket: async (socket: Socket, body: object) => {
    socket.send({ type: "upload", ...body });
    return Promise.race([socket.next("ack"), socket.next("need")]);
  },
};
const whole = (results: number, change: object = {}) => ({
  last_seq: results,
  results,
  hosts: 0,
  rejected: 0,
  dropped: 0,
  missing: [],
  duplicates: 0,
  ...change,
});

/** The agent's socket once everything its greeting causes was written. */
async function connected(): Promise<Socket> {
  const { socket } = await connect(client.token);
  await vi.waitFor(async () =>
    expect(await admin.get(`/api/v1/clients/${client.client_id}`)).toMatchObject({ status: "online" }),
  );
  await vi.waitFor(async () => {
    expect(await alarmOf(client.client_id)).not.toBeNull();
    const row = (await dumpD1()).client?.find((text) => text.includes(client.client_id));
    expect(row).toContain('"status":"online"');
    // What it greeted with is written last.
    expect(row).toContain('"version":"0.1.0"');
  });
  return socket;
}

describe("exactly once", () => {
  test("a repeated upload is acked again and stored once", async () => {
    expect(await over.https(upload(1, 3))).toEqual({ ack: 3 });
    expect(await over.https(upload(1, 3))).toEqual({ ack: 3 });
    expect(await over.https(upload(2, 2))).toEqual({ ack: 3 });
    expect(await ledger()).toEqual(whole(3));
  });

  test("an overlap adds only what is new, and what was stored first stays", async () => {
    await over.https(upload(1, 3));
    const changed = Array.from({ length: 5 }, (_, index) => pingResult(index + 1, { duration_ms: 1 }));
    expect(await over.https(upload(1, 5, { results: changed }))).toEqual({ ack: 5 });
    expect(await ledger()).toEqual(whole(5));
    expect(await admin.get(`/api/v1/results/${client.client_id}.3`)).toMatchObject({ duration_ms: 812.5 });
    expect(await admin.get(`/api/v1/results/${client.client_id}.4`)).toMatchObject({ duration_ms: 1 });
  });

  test("a gap is answered with what is needed, and stores nothing", async () => {
    expect(await over.https(upload(2, 3))).toEqual({ need: 1 });
    expect(await ringRows(client.client_id)).toBe(0);
    await over.https(upload(1, 3));
    expect(await over.https(upload(5, 9))).toEqual({ need: 4 });
    expect(await over.https(upload(4, 9))).toEqual({ ack: 9 });
    expect(await ledger()).toEqual(whole(9));
  });

  test("results and host samples share one count, in any order", async () => {
    const results = [pingResult(4), pingResult(1)];
    expect(await over.https(upload(1, 4, { results, hosts: [hostSample(3), hostSample(2)] }))).toEqual({ ack: 4 });
    expect(await ledger()).toEqual(whole(2, { last_seq: 4, hosts: 2 }));
  });

  test("twenty racing uploads of the same and of overlapping ranges leave no double and no hole", async () => {
    const ranges = Array.from({ length: 20 }, (_, index): [number, number] => [1, 3 + (index % 7)]);
    const replies = await Promise.all(ranges.map(([from, to]) => over.https(upload(from, to)) as Promise<{ ack: number }>));
    for (const [index, { ack }] of replies.entries()) expect(ack).toBeGreaterThanOrEqual(ranges[index]?.[1] ?? 0);
    expect(await ledger()).toEqual(whole(9));
  });

  test("socket and HTTPS at once, with repeats, count the same numbers", async () => {
    const { socket } = await connect(client.token);
    for (let from = 1; from <= 60; from += 5) {
      const [a, b] = await Promise.all([over.socket(socket, upload(from, from + 4)), over.https(upload(from, from + 4))]);
      expect([a.to, b]).toEqual([from + 4, { ack: from + 4 }]);
      expect(await over.socket(socket, upload(Math.max(1, from - 3), from + 2))).toEqual({ type: "ack", to: from + 4 });
    }
    expect(await ledger()).toEqual(whole(60));
  });

  test("an object thrown out of memory between uploads goes on where it stood", async () => {
    const { socket } = await connect(client.token, "boot-1");
    for (let seq = 1; seq <= 6; seq++) {
      expect(await over.socket(socket, upload(Math.max(1, seq - 1), seq))).toEqual({ type: "ack", to: seq });
      await evict(client.client_id);
    }
    expect(await ledger()).toEqual(whole(6));
    const { welcome } = await connect(client.token, "boot-1");
    expect(welcome.last_seq).toBe(6);
  });

  test("a new boot goes on with the numbers of the old one", async () => {
    await over.https(upload(1, 3, { boot: "one" }));
    expect(await over.https(upload(4, 5, { boot: "two" }))).toEqual({ ack: 5 });
    expect(await over.https(upload(1, 3, { boot: "two" }))).toEqual({ ack: 5 });
    expect(await ledger()).toEqual(whole(5));
  });

  test("500 items in one upload", async () => {
    expect(await over.https(upload(1, 500))).toEqual({ ack: 500 });
    expect(await ledger()).toEqual(whole(500));
  });
});

describe("what it costs, by the databases' own counters", () => {
  test("an upload writes one row in the client's object and none in D1, over the socket and over HTTPS", async () => {
    const socket = await connected();
    await over.socket(socket, upload(1, 2));
    const tables = await dumpD1();
    const rows = await changesOf(client.client_id);
    const asked = await asksOfD1(async () => {
      for (let seq = 3; seq <= 12; seq++) {
        if (seq % 2 === 0) await over.https(upload(seq, seq));
        else await over.socket(socket, upload(seq, seq));
      }
    });
    expect([(await changesOf(client.client_id)) - rows, asked]).toEqual([10, 0]);
    expect(await dumpD1()).toEqual(tables);
  });

  test("so does the upload of an agent that only has HTTPS, once it is online", async () => {
    await over.https(upload(1, 1));
    const rows = await changesOf(client.client_id);
    const asked = await asksOfD1(async () => {
      for (let seq = 2; seq <= 6; seq++) await over.https(upload(seq, seq));
    });
    expect([(await changesOf(client.client_id)) - rows, asked]).toEqual([5, 0]);
  });

  test("repeats and gaps write nothing", async () => {
    await over.https(upload(1, 5));
    const rows = await changesOf(client.client_id);
    await over.https(upload(1, 5));
    await over.https(upload(9, 9));
    expect((await changesOf(client.client_id)) - rows).toBe(0);
  });

  test("heartbeats on the socket are answered without waking the object and write nothing", async () => {
    const socket = await connected();
    const rows = await changesOf(client.client_id);
    const asked = await asksOfD1(async () => {
      for (let beat = 0; beat < 20; beat++) {
        socket.send("ping");
        expect((await socket.next("pong")).type).toBe("pong");
      }
    });
    expect([(await changesOf(client.client_id)) - rows, asked]).toEqual([0, 0]);
    await evict(client.client_id);
    socket.send("ping");
    expect((await socket.next("pong")).type).toBe("pong");
    await expect(evict(client.client_id)).rejects.toThrow("not currently running");
  });

  test("a heartbeat over HTTPS writes one row at most, and none in D1", async () => {
    await agent.post("/api/agent/v1/heartbeat", { outbox: { depth: 0, dropped: 0 } });
    const tables = await dumpD1();
    const rows = await changesOf(client.client_id);
    for (let beat = 0; beat < 5; beat++) await agent.post("/api/agent/v1/heartbeat", {});
    expect((await changesOf(client.client_id)) - rows).toBeLessThanOrEqual(5);
    expect(await dumpD1()).toEqual(tables);
  });

  test("uploads of one minute share a row, the next minute opens another", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 60_000) * 60_000 + 1000 });
    try {
      for (let seq = 1; seq <= 5; seq++) await over.https(upload(seq, seq));
      expect(await ringRows(client.client_id)).toBe(1);
      vi.setSystemTime(Date.now() + 60_000);
      for (let seq = 6; seq <= 8; seq++) await over.https(upload(seq, seq));
      expect(await ringRows(client.client_id)).toBe(2);
      expect(await ledger()).toEqual(whole(8));
    } finally {
      vi.useRealTimers();
    }
  });

  test("when the retention has passed, a new row takes the oldest one's place", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    try {
      for (let day = 0; day < 33; day++) {
        await over.https(upload(day + 1, day + 1));
        vi.setSystemTime(Date.now() + 86_400_000);
      }
      admin = await asAdmin(); // A session lasts 14 days.
      expect(await ringRows(client.client_id)).toBe(31);
      expect(await ledger()).toMatchObject({ last_seq: 33, results: 31, missing: [], duplicates: 0 });
    } finally {
      vi.useRealTimers();
      admin = await asAdmin();
    }
  });
});
