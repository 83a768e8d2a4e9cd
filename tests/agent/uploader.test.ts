import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CADENCE } from "#contract/limits";
import { type UploadBody, uploadBodySchema } from "#contract/wire";
import { backoffMs } from "../../agent/backoff.ts";
import { Cadence } from "../../agent/cadence.ts";
import { createLog } from "../../agent/log.ts";
import { Outbox } from "../../agent/outbox.ts";
import { type Carrier, type UploadAnswer, Uploader } from "../../agent/uploader.ts";
import { scratch } from "./helpers/cli.ts";
import { FakeClock, settle } from "./helpers/clock.ts";

/** A server's side of the count: takes what follows, asks for what is missing. */
class Server implements Carrier {
  readonly bodies: UploadBody[] = [];
  readonly seqs: number[] = [];
  last = 0;
  answer: ((body: UploadBody) => Promise<UploadAnswer>) | undefined;

  async upload(body: UploadBody): Promise<UploadAnswer> {
    this.bodies.push(uploadBodySchema.parse(body));
    if (this.answer !== undefined) return this.answer(body);
    if (body.from > this.last + 1) return { need: this.last + 1 };
    for (const item of [...body.results, ...body.hosts] as { seq: number }[]) if (item.seq > this.last) this.seqs.push(item.seq);
    this.last = Math.max(this.last, body.to);
    return { ack: this.last };
  }
}

function setUp() {
  const clock = new FakeClock(0);
  const outbox = new Outbox(join(scratch(), "outbox.db"));
  const cadence = new Cadence(() => clock.now());
  const acked: number[] = [];
  const uploader = new Uploader({
    outbox: () => outbox,
    boot: "boot-1",
    cadence,
    offset: () => 12,
    acked: (to) => acked.push(to),
    log: createLog("silent"),
    clock,
  });
  return { clock, outbox, cadence, uploader, server: new Server(), acked };
}

test("what waits leaves when a connection comes, then every upload interval", async () => {
  const { clock, outbox, uploader, server } = setUp();
  outbox.add("result", {});
  uploader.attach(server);
  await clock.advance(100);
  expect(server.bodies).toHaveLength(1);
  expect(server.bodies[0]).toMatchObject({
    boot: "boot-1",
    from: 1,
    to: 1,
    outbox: { depth: 0, dropped: 0 },
    clock: { offset_ms: 12 },
  });
  outbox.add("result", {});
  await clock.advance(CADENCE.uploadS * 1000 - 200);
  expect(server.bodies).toHaveLength(1);
  await clock.advance(200);
  expect(server.seqs).toEqual([1, 2]);
});

test("a change of state leaves within 100 ms, together with what came with it", async () => {
  const { clock, outbox, uploader, server } = setUp();
  uploader.attach(server);
  await clock.advance(1000);
  outbox.add("result", {});
  uploader.soon();
  outbox.add("host", {});
  await clock.advance(100);
  expect(server.bodies).toHaveLength(1);
  expect(server.seqs).toEqual([1, 2]);
});

test("while somebody watches, uploads are quick; then they calm down by themselves", async () => {
  const { clock, outbox, uploader, server, cadence } = setUp();
  uploader.attach(server);
  await clock.advance(1000);
  expect(cadence.watch(30_000)).toBe(true);
  expect(cadence.watch(30_000)).toBe(false);
  uploader.soon();
  for (let second = 0; second < 60; second++) {
    outbox.add("result", {});
    await clock.advance(1000);
  }
  expect(cadence.live).toBe(false);
  // Every 5 s for 30 s, and one interval that had begun when the lease ended.
  expect(server.bodies.length).toBeGreaterThanOrEqual(6);
  expect(server.bodies.length).toBeLessThanOrEqual(9);
});

test("one upload at a time, as many as it takes", async () => {
  const { clock, outbox, uploader, server, acked } = setUp();
  for (let i = 0; i < 1200; i++) outbox.add("result", { i });
  let inFlight = 0;
  let most = 0;
  server.answer = async (body) => {
    inFlight += 1;
    most = Math.max(most, inFlight);
    await settle();
    inFlight -= 1;
    return { ack: body.to };
  };
  uploader.attach(server);
  await clock.advance(100);
  await uploader.flush();
  expect(most).toBe(1);
  expect(server.bodies.map((body) => body.to - body.from + 1)).toEqual([500, 500, 200]);
  expect(acked).toEqual([500, 1000, 1200]);
  expect(outbox.depth).toBe(0);
});

test("a failed upload keeps everything and is sent again before the interval is over", async () => {
  const { clock, outbox, uploader, server } = setUp();
  outbox.add("result", {});
  server.answer = () => Promise.reject(new Error("gone"));
  uploader.attach(server);
  await clock.advance(100);
  expect(uploader.failures).toBe(1);
  expect(outbox.depth).toBe(1);
  server.answer = undefined;
  await clock.advance(6000);
  expect(server.seqs).toEqual([1]);
});

test("an upload whose answer was lost is not stored twice", async () => {
  const { clock, outbox, uploader, server } = setUp();
  outbox.add("result", {});
  server.answer = (body) => {
    server.last = body.to;
    server.seqs.push(body.to);
    return Promise.reject(new Error("answer lost"));
  };
  uploader.attach(server);
  await clock.advance(100);
  server.answer = undefined;
  outbox.add("result", {});
  await clock.advance(6000);
  expect(server.seqs).toEqual([1, 2]);
});

test("a server that lost its data gets the missing numbers named as dropped, and does not wait for ever", async () => {
  const { clock, outbox, uploader, server } = setUp();
  for (let i = 0; i < 3; i++) outbox.add("result", {});
  uploader.attach(server);
  await clock.advance(100);
  server.last = 0;
  outbox.add("result", {});
  await uploader.flush();
  expect(server.bodies.at(-1)).toMatchObject({ from: 1, to: 4, dropped: [[1, 3]] });
  expect(server.last).toBe(4);
  expect(outbox.dropped).toBe(3);
});

test("a server that asks for the same number again and again is not answered in a circle", async () => {
  const { clock, outbox, uploader, server } = setUp();
  outbox.add("result", {});
  server.answer = () => Promise.resolve({ need: 1 });
  uploader.attach(server);
  await clock.advance(100);
  expect(server.bodies.length).toBeLessThanOrEqual(3);
  expect(uploader.failures).toBe(1);
});

test("after 'too large' an upload holds less", async () => {
  const { clock, outbox, uploader, server } = setUp();
  for (let i = 0; i < 200; i++) outbox.add("result", { text: "x".repeat(1000) });
  uploader.shrink();
  uploader.shrink();
  uploader.attach(server);
  await clock.advance(100);
  await uploader.flush();
  for (const body of server.bodies) expect(JSON.stringify(body).length).toBeLessThan(80_000);
  expect(server.last).toBe(200);
});

describe("waiting before the next try", () => {
  test("within 1 s at first, doubling to a minute", () => {
    expect(backoffMs(0, false, () => 0.999)).toBeLessThanOrEqual(1000);
    const longest = [1, 2, 3, 4, 5, 6, 20].map((attempt) => backoffMs(attempt, false, () => 1));
    expect(longest).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    const shortest = [1, 2, 3].map((attempt) => backoffMs(attempt, false, () => 0));
    expect(shortest).toEqual([1000, 2000, 4000]);
  });
  test("all of it random when a whole fleet was thrown out", () => {
    expect(backoffMs(0, true, () => 0)).toBe(0);
    expect(backoffMs(0, true, () => 1)).toBe(5000);
    expect(backoffMs(9, true, () => 1)).toBe(60_000);
  });
});
