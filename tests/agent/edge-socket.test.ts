// The socket's state machine against a scripted edge.
import { describe, expect, test } from "vitest";
import { CADENCE } from "#contract/limits";
import { helloSchema } from "#contract/wire";
import { type SessionEnd, SocketSession } from "../../agent/edge-socket.ts";
import { createLog } from "../../agent/log.ts";
import { FakeClock } from "./helpers/clock.ts";

const WELCOME = { type: "welcome", last_seq: 7, instruction: { revision: 3, tests: [], upload_s: 300 }, server_time: 5000 };
const BODY = { boot: "b", from: 1, to: 1, results: [], hosts: [], dropped: [] as [number, number][] };

function setUp() {
  const clock = new FakeClock(1000);
  const sent: string[] = [];
  const closed: [number, string][] = [];
  const events: unknown[][] = [];
  let end: SessionEnd | undefined;
  const session = new SocketSession({
    clock,
    log: createLog("silent"),
    wire: { send: (text) => sent.push(text), close: (code, reason) => closed.push([code, reason]) },
    events: {
      hello: () => ({ version: "1", boot: "b" }),
      welcome: (frame, at, received) => events.push(["welcome", frame.last_seq, at, received]),
      instruction: (revision) => events.push(["instruction", revision]),
      live: (until) => events.push(["live", until]),
      run: (frame) => events.push(["run", frame.run_id, frame.test_id]),
    },
    ended: (how) => {
      end = how;
    },
  });
  const receive = (frame: unknown) => session.received(JSON.stringify(frame));
  return {
    clock,
    sent,
    closed,
    events,
    session,
    receive,
    frames: () => sent.filter((text) => text !== "ping").map((text) => JSON.parse(text) as { type: string }),
    ended: () => end,
  };
}

function welcomed() {
  const all = setUp();
  all.session.opened();
  all.receive(WELCOME);
  return all;
}

test("hello first, welcome with the times around it", async () => {
  const { clock, session, frames, events, receive } = setUp();
  session.opened();
  expect(helloSchema.safeParse(frames()[0]).success).toBe(true);
  expect(session.welcomed).toBe(false);
  await clock.advance(40);
  receive(WELCOME);
  expect(session.welcomed).toBe(true);
  expect(events).toEqual([["welcome", 7, 1000, 1040]]);
});

test("without a welcome the socket is given up", async () => {
  const { clock, session, closed, ended } = setUp();
  session.opened();
  await clock.advance(25_000);
  expect(closed).toHaveLength(1);
  expect(ended()).toMatchObject({ welcomed: false });
});

test("check is answered at once with its nonce", () => {
  const { receive, frames } = welcomed();
  receive({ type: "check", nonce: "n1" });
  expect(frames().at(-1)).toEqual({ type: "here", nonce: "n1" });
});

test("instruction, live and run reach the agent; unknown and broken frames are left alone", () => {
  const { receive, session, events } = welcomed();
  receive({ type: "instruction", revision: 4 });
  receive({ type: "live", until: 99_000 });
  receive({ type: "run", run_id: "r1", test_id: "t1" });
  receive({ type: "telepathy" });
  session.received("{broken");
  expect(events.slice(1)).toEqual([
    ["instruction", 4],
    ["live", 99_000],
    ["run", "r1", "t1"],
  ]);
});

describe("heartbeat", () => {
  test("a ping each beat, kept up by pong", async () => {
    const { clock, sent, session, closed } = welcomed();
    for (let beat = 0; beat < 10; beat++) {
      await clock.advance(CADENCE.heartbeatS * 1000);
      session.received("pong");
    }
    expect(sent.filter((text) => text === "ping")).toHaveLength(10);
    expect(closed).toEqual([]);
  });
  test("two beats of silence end it", async () => {
    const { clock, closed, ended } = welcomed();
    await clock.advance(CADENCE.heartbeatS * 1000 * 3 + 1);
    expect(closed).toHaveLength(1);
    expect(ended()).toMatchObject({ welcomed: true, reason: "silence" });
  });
});

describe("uploads", () => {
  test("are answered by ack or need", async () => {
    const { session, receive, frames } = welcomed();
    const first = session.upload(BODY);
    expect(frames().at(-1)).toEqual({ type: "upload", ...BODY });
    receive({ type: "ack", to: 1 });
    await expect(first).resolves.toEqual({ ack: 1 });
    const second = session.upload(BODY);
    receive({ type: "need", from: 5 });
    await expect(second).resolves.toEqual({ need: 5 });
  });
  test("one at a time", async () => {
    const { session, receive } = welcomed();
    const first = session.upload(BODY);
    await expect(session.upload(BODY)).rejects.toThrow(/already/);
    receive({ type: "ack", to: 1 });
    await expect(first).resolves.toEqual({ ack: 1 });
  });
  test("without an answer in 20 s the connection is replaced", async () => {
    const { clock, session, closed } = welcomed();
    const upload = session.upload(BODY);
    const rejected = expect(upload).rejects.toThrow(/closed/);
    await clock.advance(20_001);
    await rejected;
    expect(closed).toHaveLength(1);
  });
  test("fail when the socket closes, and before the welcome", async () => {
    const { session, ended } = welcomed();
    const upload = session.upload(BODY);
    session.closed(1012, "deploy");
    await expect(upload).rejects.toThrow("1012");
    expect(ended()).toMatchObject({ code: 1012, welcomed: true });
    const early = setUp();
    early.session.opened();
    await expect(early.session.upload(BODY)).rejects.toThrow(/no connection/);
  });
});
