// The line to a server that can only be reached over plain HTTP, and what ends it. The socket's side is in edge-socket.test.ts
// and, against the real Worker, in the end-to-end suite.
import { afterEach, describe, expect, test } from "vitest";
import { CLOSE } from "#contract/limits";
import { Cadence } from "../../agent/cadence.ts";
import { readConfig } from "../../agent/cli-run.ts";
import { StateDir } from "../../agent/identity.ts";
import { Link, type RunRequest } from "../../agent/link.ts";
import { createLog } from "../../agent/log.ts";
import { OutboxStore } from "../../agent/outbox-store.ts";
import { judgeEnd, judgeRefusal } from "../../agent/verdict.ts";
import { cli, scratch } from "./helpers/cli.ts";
import { HttpEdge } from "./helpers/edge.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function setUp(token: string | undefined) {
  const edge = new HttpEdge();
  const server = await edge.listen();
  cleanUps.push(() => edge.close());
  const state = new StateDir(scratch());
  const store = new OutboxStore(state.file("outbox.db"), createLog("silent"));
  const runs: RunRequest[] = [];
  const revisions: number[] = [];
  const config = {
    ...readConfig({ server, state: state.path, name: "n", ...(token === undefined ? {} : { token }) }, {}),
    server,
  };
  const open = () => {
    const link = new Link(
      {
        config,
        state,
        store,
        cadence: new Cadence(),
        capabilities: {},
        log: createLog("silent"),
        apply: (instruction) => revisions.push(instruction.revision),
        revision: () => revisions.at(-1),
        run: (request) => runs.push(request),
        watched: () => {},
        event: () => {},
      },
      state.loadIdentity(),
    );
    cleanUps.push(() => link.stop(100));
    return link;
  };
  return { edge, state, store, runs, revisions, open };
}

/** Waits until something holds; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("where no WebSocket comes through", () => {
  test("three refused upgrades, then heartbeats and gzipped uploads; nothing is lost or doubled", async () => {
    const { edge, store, state, runs, revisions, open } = await setUp("enrol");
    for (let i = 0; i < 3; i++) store.add("result", { i });
    store.add("host", { cpu: 1 });
    edge.heartbeat = { runs: [{ run_id: "r1", test_id: "t1" }] };
    const running = open();
    const over = running.run();
    await until(() => store.outbox.next === 5 && store.outbox.depth === 0);
    expect(edge.calls.filter((call) => call === "upgrade")).toHaveLength(3);
    expect(edge.items.map((item) => item.seq)).toEqual([1, 2, 3, 4]);
    expect([...edge.encodings]).toEqual(["gzip"]);
    expect(store.outbox.depth).toBe(0);
    expect(runs).toEqual([{ run_id: "r1", test_id: "t1" }]);
    expect(revisions.at(-1)).toBe(1);
    expect(Math.abs(running.offset ?? Number.NaN)).toBeLessThan(500);
    expect(state.peekIdentity()).toMatchObject({ client_id: "client-1", token: "client-token-1" });
    store.add("result", { i: 3 });
    running.uploader.soon();
    await until(() => edge.last === 5);
    await running.stop(100);
    await over;
  });
});

test("what the end of a connection means", () => {
  const end = (code: number, welcomed = true) => judgeEnd({ code, reason: "", welcomed, lasted: 0 });
  expect(end(CLOSE.revoked)?.next).toBe("revoked");
  expect(end(CLOSE.superseded, false)?.next).toBe("superseded");
  expect(end(1006)).toEqual({ next: "retry", spread: false });
  expect(end(CLOSE.tryLater)).toEqual({ next: "retry", spread: true });
  expect(end(1006, false)).toBeUndefined();
  const refused = (status: number, code: string, retryAfter: number | null = null) =>
    judgeRefusal({ status, code, detail: "", retryAfter });
  expect(refused(401, "token_revoked").next).toBe("revoked");
  expect(refused(401, "bad_token").next).toBe("unknown");
  expect(refused(401, "").next).toBe("retry");
  expect(refused(429, "throttled", 60_000)).toEqual({ next: "retry", spread: true, wait: 60_000 });
  expect(refused(500, "internal")).toEqual({ next: "retry", spread: false, wait: null });
});

describe("registration", () => {
  test("a wrong enrolment token ends the agent with what to do", async () => {
    const { edge, open } = await setUp("wrong");
    await expect(open().run()).rejects.toThrow(/does not accept the enrolment token.*--token/s);
    expect(edge.calls).toEqual(["register"]);
  });

  test("without any token it says that one is needed", async () => {
    const { edge, open } = await setUp(undefined);
    await expect(open().run()).rejects.toThrow(/--token/);
    expect(edge.calls).toEqual([]);
  });

  test("an address that is not StreamSwarm's is named", async () => {
    const { stderr, code } = await cli([
      "run",
      "--server",
      "http://127.0.0.1:1/x",
      "--state",
      scratch(),
      "--log-level",
      "silent",
      "--tag",
      "=",
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain("--tag");
  });
});

describe("a client that was revoked", () => {
  test("registers anew once where it has an enrolment token: a new client, counting from 1", async () => {
    const { edge, state, store, open } = await setUp("enrol");
    const before = { ...state.loadIdentity(), server: null, client_id: "gone", token: "revoked-token" };
    state.saveIdentity(before);
    for (let i = 0; i < 5; i++) store.add("result", { i });
    store.outbox.sending(3);
    store.outbox.acked(3);
    const link = open();
    const over = link.run();
    await until(() => edge.last === 2);
    expect(edge.items.map((item) => [item.seq, item.i])).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(state.peekIdentity()?.client_id).toBe("client-1");
    await link.stop(100);
    await over;
  });

  test("stops with words where it has none", async () => {
    const { state, open } = await setUp(undefined);
    state.saveIdentity({ ...state.loadIdentity(), client_id: "gone", token: "revoked-token" });
    await expect(open().run()).rejects.toThrow(/does not accept this agent's token.*enrolment token/s);
  });
});
