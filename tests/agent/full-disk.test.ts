// A disk that takes nothing more, on real file systems: what was promised stays, what is dropped is counted, the count has no gap.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { UploadBody } from "#contract/wire";
import { Cadence } from "../../agent/cadence.ts";
import { writeAtomically } from "../../agent/files.ts";
import { StateDir } from "../../agent/identity.ts";
import { createLog } from "../../agent/log.ts";
import { Outbox } from "../../agent/outbox.ts";
import { OutboxStore } from "../../agent/outbox-store.ts";
import { type Carrier, type UploadAnswer, Uploader } from "../../agent/uploader.ts";
import { cannotMount, type DiskKind, SmallDisk } from "../support/small-disk.ts";
import { cli, scratch } from "./helpers/cli.ts";
import { HttpEdge } from "./helpers/edge.ts";

const MIB = 1024 * 1024;
/** The disk is tried again after 5 s. */
const AGAIN_MS = 5001;
const silent = createLog("silent");
const kinds = (["tmpfs", "ext4"] as const).filter((kind) => cannotMount(kind) === undefined);

const cleanUps: (() => unknown)[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

function smallDisk(kind: DiskKind, bytes = 6 * MIB): { disk: SmallDisk; state: string; file: string } {
  const disk = new SmallDisk(kind, bytes);
  cleanUps.push(() => disk.dispose());
  const state = join(disk.path, "state");
  mkdirSync(state);
  return { disk, state, file: join(state, "outbox.db") };
}

/** Time goes on without waiting: the store looks at the monotonic clock. */
function later(): void {
  const now = performance.now();
  vi.spyOn(performance, "now").mockReturnValue(now + AGAIN_MS);
}

/** The server's books: every number once, in an item or in a dropped range. */
class Books implements Carrier {
  last = 0;
  readonly held: number[] = [];
  readonly seqs: number[] = [];
  dropped = 0;
  /** While set, an upload gets stored but its answer is lost. */
  mute = false;
  newest: UploadBody | undefined;

  async upload(body: UploadBody): Promise<UploadAnswer> {
    this.newest = body;
    if (body.from > this.last + 1) return { need: this.last + 1 };
    const items = [...body.results, ...body.hosts] as { seq: number; i: number }[];
    for (const item of items.sort((a, b) => a.seq - b.seq)) {
      if (item.seq <= this.last) continue;
      this.seqs.push(item.seq);
      this.held.push(item.i);
    }
    for (const [from, to] of body.dropped) this.dropped += Math.max(0, to - Math.max(from, this.last + 1) + 1);
    this.last = Math.max(this.last, body.to);
    if (this.mute) throw new Error("the answer was lost");
    return { ack: this.last };
  }

  /** Every number up to `last` is accounted for, no item came twice, and they came in the order they were measured. */
  balance(): void {
    expect(this.seqs.length + this.dropped).toBe(this.last);
    expect(new Set(this.held).size).toBe(this.held.length);
    expect(new Set(this.seqs).size).toBe(this.seqs.length);
  }
}

function agentOn(file: string, books: Books) {
  const store = new OutboxStore(file, silent);
  cleanUps.push(() => store.close());
  const uploader = new Uploader({
    outbox: () => store,
    boot: "boot",
    cadence: new Cadence(),
    offset: () => null,
    acked: () => {},
    log: silent,
  });
  let measured = 0;
  const measure = (count: number, from = measured, bytes = 1500) => {
    for (let i = from; i < from + count; i++) store.add("result", { i, text: "x".repeat(bytes) });
    measured = from + count;
  };
  /** Greets as a connection does, and sends what waits. */
  const deliver = async () => {
    store.reconcile(books.last);
    uploader.attach(books);
    await uploader.flush();
    uploader.detach(books);
  };
  return { store, measure, deliver, measured: () => measured };
}

/** Closes it now rather than at the end of the test, as a stopped agent does. */
function stopAgent(store: OutboxStore): void {
  cleanUps.pop();
  store.close();
}

describe.skipIf(kinds.length === 0).each(kinds)("on %s", (kind) => {
  test("a full disk takes results from the room that was taken before, and lets delivered ones go", async () => {
    const { disk, state, file } = smallDisk(kind);
    const books = new Books();
    const { store, measure, deliver } = agentOn(file, books);
    disk.fill();
    const sizes = () => readdirSync(state).map((name) => [name, statSync(join(state, name)).size]);
    const before = sizes();
    for (let round = 0; round < 10; round++) {
      measure(100);
      await deliver();
    }
    expect(store.figures).toEqual({ depth: 0, dropped: 0, problem: null });
    expect(books.held).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(sizes()).toEqual(before);
    books.balance();
  });

  test("with the server away as well the oldest go, counted and named; with room all goes on", async () => {
    const { disk, file } = smallDisk(kind);
    const books = new Books();
    const { store, measure, deliver } = agentOn(file, books);
    measure(10);
    await deliver();
    disk.fill();
    const news: string[] = [];
    store.changed = () => news.push(`${store.problem} ${store.dropped > 0}`);
    measure(900);
    expect(store.problem).toBe("disk_full");
    expect(news[0]).toBe("disk_full false");
    expect(news).toContain("disk_full true");
    const { dropped, depth } = store;
    expect(dropped).toBeGreaterThan(100);
    expect(depth).toBe(900 - dropped);
    await deliver();
    expect(books.newest?.outbox).toMatchObject({ dropped, problem: "disk_full" });
    expect(books.held.slice(10)).toEqual(Array.from({ length: depth }, (_, i) => 10 + dropped + i));
    expect(books.dropped).toBe(dropped);
    books.balance();
    disk.clear();
    measure(100);
    await deliver();
    expect(store.figures).toEqual({ depth: 0, dropped, problem: null });
    books.balance();
  });

  test("what waits survives an end and a start on a full disk, and numbers that were under way do not come twice", async () => {
    const { disk, file } = smallDisk(kind);
    const books = new Books();
    const first = agentOn(file, books);
    first.measure(20);
    books.mute = true;
    await first.deliver();
    expect(first.store.depth).toBe(20);
    disk.fill();
    first.measure(30);
    stopAgent(first.store);
    disk.fill();
    books.mute = false;
    const second = agentOn(file, books);
    expect(second.store.figures).toEqual({ depth: 50, dropped: 0, problem: null });
    second.measure(40, 50);
    await second.deliver();
    expect(books.held).toEqual(Array.from({ length: 90 }, (_, i) => i));
    books.balance();
  });

  test("a start where nothing can be written: the newest 200 in memory, what waits follows when there is room", async () => {
    const { disk, file } = smallDisk(kind);
    const books = new Books();
    const first = agentOn(file, books);
    first.measure(5);
    await first.deliver();
    first.measure(25);
    stopAgent(first.store);
    rmSync(`${file}.reserve`);
    disk.fill();
    const second = agentOn(file, books);
    expect(second.store.problem).toBe("disk_full");
    second.measure(100, 30);
    await second.deliver();
    expect(books.held.length).toBe(105);
    second.measure(500, 130);
    expect(second.store.depth).toBeLessThanOrEqual(200);
    expect(second.store.dropped).toBeGreaterThanOrEqual(300);
    const { dropped } = second.store;
    disk.clear();
    later();
    second.measure(1, 630);
    // Under way: nothing is moved before the server has said what it holds.
    await second.deliver();
    second.measure(1, 631);
    await second.deliver();
    expect(second.store.figures).toEqual({ depth: 0, dropped, problem: null });
    expect(new Set(books.held).size).toBe(632 - dropped);
    expect(books.dropped).toBe(dropped);
    books.balance();
    stopAgent(second.store);
    const third = agentOn(file, books);
    expect(third.store.figures).toEqual({ depth: 0, dropped, problem: null });
    third.measure(3, 632);
    await third.deliver();
    expect(books.held.slice(-3)).toEqual([632, 633, 634]);
    books.balance();
  });

  test("leaves a twentieth of the disk to the host", async () => {
    const { disk, file } = smallDisk(kind);
    const books = new Books();
    const { store, measure } = agentOn(file, books);
    measure(500, 0, 15_000);
    expect(disk.free).toBeGreaterThanOrEqual(disk.total / 20);
    expect(store.problem).toBe("disk_full");
    expect(store.dropped).toBeGreaterThan(100);
  });

  test("a file is the old one or the new one, and what did not fit leaves nothing behind", () => {
    const { disk, state } = smallDisk(kind);
    const path = join(state, "identity.json");
    writeAtomically(path, "old");
    disk.fill();
    expect(() => writeAtomically(path, "n".repeat(256 * 1024))).toThrow(/ENOSPC/);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(state)).toEqual(["identity.json"]);
  });

  test("an agent whose identity cannot be kept says so and registers nothing", async () => {
    const { disk, state } = smallDisk(kind);
    const edge = new HttpEdge();
    const server = await edge.listen();
    cleanUps.push(() => edge.close());
    disk.fill();
    const { code, stderr } = await cli(["run", "--server", server, "--token", "enrol", "--state", state, "--name", "n"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/identity of this agent cannot be kept in .*ENOSPC.*Make room there/);
    expect(stderr).not.toMatch(/ at .*\.ts:/);
    expect(edge.calls).toEqual([]);
    expect(readdirSync(state).filter((name) => name.startsWith("identity"))).toEqual([]);
  });
});

describe.skipIf(!kinds.includes("ext4"))("a file system that goes read-only", () => {
  test("what is under way is settled, new results go through memory, all comes into one count when it is mended", async () => {
    const { disk, file } = smallDisk("ext4");
    const books = new Books();
    const { store, measure, deliver } = agentOn(file, books);
    measure(10);
    await deliver();
    measure(10);
    books.mute = true;
    await deliver();
    measure(10);
    disk.breakDown();
    // 0 to 9 are delivered, 10 to 19 stored by the server without our knowing, 20 to 29 only on the disk.
    measure(10);
    expect(store.problem).toBe("read_only");
    books.mute = false;
    await deliver();
    measure(10);
    await deliver();
    expect(books.held).toEqual([...Array.from({ length: 20 }, (_, i) => i), ...Array.from({ length: 20 }, (_, i) => 30 + i)]);
    later();
    measure(1);
    await deliver();
    expect(store.problem).toBe("read_only");
    disk.mend();
    vi.restoreAllMocks();
    later();
    later();
    measure(1);
    await deliver();
    expect(store.figures).toEqual({ depth: 0, dropped: 0, problem: null });
    expect(books.held.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 52 }, (_, i) => i));
    books.balance();
  });

  test("an agent that starts on one measures and delivers all the same", async () => {
    const { disk, state, file } = smallDisk("ext4");
    const books = new Books();
    const identity = new StateDir(state);
    identity.prepare();
    const { install_id } = identity.loadIdentity();
    const first = agentOn(file, books);
    first.measure(5);
    stopAgent(first.store);
    disk.breakDown();
    identity.prepare();
    expect(identity.loadIdentity().install_id).toBe(install_id);
    const second = agentOn(file, books);
    expect(second.store.problem).toBe("read_only");
    second.measure(10, 5);
    await second.deliver();
    expect(books.held).toEqual(Array.from({ length: 10 }, (_, i) => 5 + i));
    books.balance();
  });
});

test.skipIf(kinds.length === 0)("the directory is removed under the agent: it makes it again and goes on", async () => {
  const { state, file } = smallDisk("tmpfs");
  const books = new Books();
  const { store, measure, deliver } = agentOn(file, books);
  let remade = 0;
  store.remade = () => {
    remade += 1;
  };
  measure(10);
  await deliver();
  measure(10);
  rmSync(state, { recursive: true });
  later();
  measure(10);
  expect(remade).toBe(1);
  expect(readdirSync(state)).toContain("outbox.db");
  await deliver();
  expect(store.figures).toEqual({ depth: 0, dropped: 0, problem: null });
  measure(5);
  stopAgent(store);
  const next = agentOn(file, books);
  expect(next.store.depth).toBe(5);
  await next.deliver();
  expect(books.held).toEqual(Array.from({ length: 35 }, (_, i) => i));
  books.balance();
});

test.skipIf(kinds.length === 0)(
  "the directory is removed and the disk full: what is measured goes on in memory, then all is made again",
  async () => {
    const { disk, state, file } = smallDisk("tmpfs", 2 * MIB);
    const books = new Books();
    const { store, measure, deliver } = agentOn(file, books);
    let remade = 0;
    store.remade = () => {
      remade += 1;
    };
    measure(10);
    await deliver();
    rmSync(state, { recursive: true });
    disk.fill();
    later();
    // Far more than the removed file had room for.
    for (let round = 0; round < 6; round++) measure(100, undefined, 20_000);
    await deliver();
    disk.clear();
    later();
    measure(1);
    expect([store.problem, remade]).toEqual([null, 1]);
    await deliver();
    expect(store.depth).toBe(0);
    expect(books.held.at(-1)).toBe(610);
    books.balance();
  },
);

test.skipIf(process.getuid?.() !== 0)("without permission to write, the agent says so and goes on in memory", async () => {
  const state = scratch();
  chmodSync(dirname(state), 0o755);
  chmodSync(state, 0o555);
  process.seteuid?.(65_534);
  cleanUps.push(() => process.seteuid?.(0));
  const books = new Books();
  const { store, measure, deliver } = agentOn(join(state, "outbox.db"), books);
  expect(store.problem).toBe("no_permission");
  measure(3);
  await deliver();
  expect(books.held).toEqual([0, 1, 2]);
});

test("a long backlog gives its room back when it is delivered", () => {
  const file = join(scratch(), "outbox.db");
  const outbox = new Outbox(file);
  cleanUps.push(() => outbox.close());
  for (let i = 0; i < 1000; i++) outbox.add("result", { i, text: "x".repeat(30_000) });
  expect(statSync(file).size).toBeGreaterThan(28 * MIB);
  outbox.sending(1000);
  outbox.acked(1000);
  expect(statSync(file).size).toBeLessThan(3 * MIB);
  expect(outbox.add("result", {})).toBe(1001);
});
