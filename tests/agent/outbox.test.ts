import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { LIMITS } from "#contract/limits";
import { diskProblem } from "../../agent/disk.ts";
import { writeAtomically } from "../../agent/files.ts";
import { createLog } from "../../agent/log.ts";
import { type Batch, Outbox, type OutboxLimits } from "../../agent/outbox.ts";
import { keepReserve } from "../../agent/outbox-room.ts";
import { OutboxStore, openOutbox } from "../../agent/outbox-store.ts";
import { scratch } from "./helpers/cli.ts";

const make = (limits?: OutboxLimits) => new Outbox(join(scratch(), "outbox.db"), limits);
const fill = (outbox: Outbox, names: readonly string[]) => {
  for (const name of names) outbox.add("result", { name });
};
const everything = (outbox: Outbox) => outbox.batch(LIMITS.uploadItems, LIMITS.uploadBytes);
const names = (batch: Batch | undefined) => (batch?.results ?? []).map((item) => `${String(item.seq)}${String(item.name)}`);

/** Sends and has acknowledged everything up to `to`. */
const deliver = (outbox: Outbox, to: number) => {
  outbox.sending(to);
  outbox.acked(to);
};

test("results and host samples share one count", () => {
  const outbox = make();
  expect([outbox.add("result", { a: 1 }), outbox.add("host", { b: 2 }), outbox.add("result", { c: 3 })]).toEqual([1, 2, 3]);
  expect(everything(outbox)).toEqual({
    from: 1,
    to: 3,
    results: [
      { seq: 1, a: 1 },
      { seq: 3, c: 3 },
    ],
    hosts: [{ seq: 2, b: 2 }],
    dropped: [],
  });
});

test("a batch holds at most so many items and bytes, but always one", () => {
  const outbox = make();
  for (let i = 0; i < 10; i++) outbox.add("result", { text: "x".repeat(1000) });
  expect(outbox.batch(4, 1e6)).toMatchObject({ from: 1, to: 4 });
  expect(outbox.batch(500, 2500)).toMatchObject({ from: 1, to: 2 });
  expect(outbox.batch(500, 10)).toMatchObject({ from: 1, to: 1 });
});

test("only what was acknowledged is deleted, and the count goes on", () => {
  const outbox = make();
  fill(outbox, ["a", "b", "c"]);
  deliver(outbox, 2);
  expect(outbox.depth).toBe(1);
  expect(names(everything(outbox))).toEqual(["3c"]);
  deliver(outbox, 3);
  expect(everything(outbox)).toBeUndefined();
  expect(outbox.add("result", {})).toBe(4);
});

test("a number that nobody can have counted to is not believed: the outbox could not be opened again", () => {
  const path = join(scratch(), "outbox.db");
  const outbox = new Outbox(path);
  fill(outbox, ["a"]);
  outbox.reconcile(Number.MAX_SAFE_INTEGER);
  fill(outbox, ["b"]);
  outbox.close();
  const again = new Outbox(path);
  expect([again.next, names(everything(again))]).toEqual([3, ["1a", "2b"]]);
  again.close();
});

test("the server's claim of such a number is told and changes nothing", () => {
  const store = new OutboxStore(join(scratch(), "outbox.db"), createLog("silent"));
  store.add("result", { name: "a" });
  store.reconcile(2 ** 53 - 1);
  expect(names(store.batch(10, 1e6))).toEqual(["1a"]);
  store.close();
});

test("links planted in the state directory are replaced, not followed", () => {
  const dir = scratch();
  const victim = join(dir, "victim");
  writeFileSync(victim, "precious");
  const path = join(dir, "outbox.db");
  for (const name of ["outbox.db.reserve", "identity.json.tmp", ".trial"]) symlinkSync(victim, join(dir, name));
  const store = new OutboxStore(path, createLog("silent"));
  writeAtomically(join(dir, "identity.json"), "mine");
  expect(diskProblem(Object.assign(new Error("out of order"), { errcode: 14 }), dir)).toBe("disk_error");
  store.close();
  symlinkSync(victim, join(dir, "later"));
  renameSync(join(dir, "later"), `${path}.reserve`);
  keepReserve(path);
  expect(readFileSync(victim, "utf8")).toBe("precious");
  expect(statSync(`${path}.reserve`).mode & 0o777).toBe(0o600);
});

test("an acknowledgement of what was never sent deletes nothing", () => {
  const outbox = make();
  fill(outbox, ["a", "b"]);
  outbox.sending(1);
  outbox.acked(2);
  expect(names(everything(outbox))).toEqual(["2b"]);
});

describe("agreeing on numbers with the server", () => {
  // held: items added, sent: highest number ever put in an upload, acked: acknowledged before, last: what the server says.
  const rules: {
    title: string;
    held: string[];
    sent: number;
    acked: number;
    last: number;
    waits: string[];
    next: number;
    dropped?: [number, number][];
  }[] = [
    { title: "nothing new", held: ["a", "b"], sent: 1, acked: 1, last: 1, waits: ["2b"], next: 3 },
    { title: "sent and stored, the answer was lost", held: ["a", "b", "c"], sent: 2, acked: 0, last: 2, waits: ["3c"], next: 4 },
    { title: "sent, but only partly stored", held: ["a", "b", "c"], sent: 3, acked: 0, last: 1, waits: ["2b", "3c"], next: 4 },
    { title: "a lost store: its items follow", held: ["a", "b"], sent: 0, acked: 0, last: 40, waits: ["41a", "42b"], next: 43 },
    { title: "a lost store with nothing yet", held: [], sent: 0, acked: 0, last: 40, waits: [], next: 41 },
    {
      title: "an old store restored: what it never sent follows",
      held: ["a", "b", "c", "d"],
      sent: 2,
      acked: 1,
      last: 3,
      waits: ["4c", "5d"],
      next: 6,
    },
    {
      title: "the server lost data: the gap is given up",
      held: ["a", "b", "c"],
      sent: 2,
      acked: 2,
      last: 0,
      waits: ["3c"],
      next: 4,
      dropped: [[1, 2]],
    },
    {
      title: "the server lost the end",
      held: ["a", "b", "c"],
      sent: 3,
      acked: 3,
      last: 1,
      waits: [],
      next: 4,
      dropped: [[2, 3]],
    },
  ];
  test.each(rules)("$title", ({ held, sent, acked, last, waits, next, dropped = [] }) => {
    const outbox = make();
    fill(outbox, held);
    outbox.sending(sent);
    outbox.acked(acked);
    outbox.reconcile(last);
    const batch = everything(outbox);
    expect(names(batch)).toEqual(waits);
    expect(outbox.next).toBe(next);
    expect(outbox.next).toBeGreaterThan(last);
    expect(batch?.dropped ?? []).toEqual(dropped);
    if (batch !== undefined) expect(batch.from).toBe(last + 1);
  });

  test("agreeing twice changes nothing more", () => {
    const outbox = make();
    fill(outbox, ["a", "b"]);
    outbox.reconcile(40);
    outbox.reconcile(40);
    expect(names(everything(outbox))).toEqual(["41a", "42b"]);
  });

  test("a new client counts from 1, in the old order, without gaps", () => {
    const outbox = make({ items: 4, bytes: 1e6 });
    fill(outbox, ["a", "b", "c", "d", "e", "f"]);
    deliver(outbox, 3);
    outbox.restart();
    expect(names(everything(outbox))).toEqual(["1d", "2e", "3f"]);
    expect(everything(outbox)?.dropped).toEqual([]);
    expect(outbox.add("result", {})).toBe(4);
  });
});

describe("a full outbox", () => {
  test("drops the oldest, counts them, and names them so that the server does not wait", () => {
    const outbox = make({ items: 100, bytes: 1e9 });
    fill(
      outbox,
      Array.from({ length: 130 }, (_, i) => String(i)),
    );
    expect(outbox.depth).toBeLessThanOrEqual(100);
    expect(outbox.dropped + outbox.depth).toBe(130);
    const batch = everything(outbox);
    expect(batch).toMatchObject({ from: 1, to: 130, dropped: [[1, outbox.dropped]] });
    deliver(outbox, 130);
    expect(outbox.depth).toBe(0);
    expect(everything(outbox)).toBeUndefined();
  });

  test("obeys its bytes too", () => {
    const outbox = make({ items: 1e6, bytes: 50_000 });
    for (let i = 0; i < 100; i++) outbox.add("result", { text: "x".repeat(1000) });
    expect(outbox.depth).toBeLessThan(50);
    expect(outbox.dropped + outbox.depth).toBe(100);
  });

  test("with the connection gone in the middle, sent and dropped numbers stay without gap", () => {
    const outbox = make({ items: 20, bytes: 1e9 });
    fill(
      outbox,
      Array.from({ length: 10 }, (_, i) => String(i)),
    );
    outbox.sending(10);
    fill(
      outbox,
      Array.from({ length: 15 }, (_, i) => String(i)),
    );
    outbox.reconcile(4);
    const batch = everything(outbox);
    expect(batch?.from).toBe(5);
    const covered =
      (batch?.dropped ?? []).reduce((sum, [first, last]) => sum + last - first + 1, 0) + (batch?.results.length ?? 0);
    expect(covered).toBe((batch?.to ?? 0) - (batch?.from ?? 0) + 1);
    expect(batch?.to).toBe(25);
  });

  test("what was dropped while it was under way and arrived all the same is not called lost", () => {
    const outbox = make({ items: 10, bytes: 1e6 });
    fill(outbox, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    expect(outbox.batch(5, 1e6)).toMatchObject({ from: 1, to: 5 });
    outbox.sending(5);
    fill(outbox, ["k", "l"]);
    expect(outbox.dropped).toBe(2);
    outbox.acked(5);
    expect(outbox.dropped).toBe(0);
    // Dropped and told so, it is lost.
    outbox.sending(8);
    fill(outbox, ["m", "n", "o", "p", "q"]);
    const { dropped } = outbox;
    expect(dropped).toBeGreaterThan(0);
    expect(everything(outbox)?.dropped).toEqual([[6, 5 + dropped]]);
    deliver(outbox, 17);
    expect(outbox.dropped).toBe(dropped);
  });

  test("an item too large for the server loses its detail, not its figures", () => {
    const outbox = make();
    outbox.add("result", { metrics: { a: 1 }, detail: { big: "x".repeat(LIMITS.itemBytes) }, flags: ["f"] });
    expect(everything(outbox)?.results[0]).toEqual({ seq: 1, metrics: { a: 1 }, detail: {}, flags: ["f", "detail_too_large"] });
  });
});

test("every number that was given out survives kill -9", async () => {
  const path = join(scratch(), "outbox.db");
  const child = spawn(process.execPath, [fileURLToPath(new URL("./helpers/add-forever.ts", import.meta.url)), path], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  });
  let printed = "";
  for await (const chunk of child.stdout) {
    printed += String(chunk);
    if (printed.split("\n").length > 200) child.kill("SIGKILL");
  }
  if (child.signalCode === null) await once(child, "exit");
  expect(child.signalCode).toBe("SIGKILL");
  const promised = printed.split("\n").slice(0, -1).map(Number);
  const outbox = new Outbox(path);
  expect(outbox.depth).toBeGreaterThanOrEqual(promised.length);
  expect(outbox.next).toBe(outbox.depth + 1);
  expect(promised.at(-1)).toBeLessThan(outbox.next);
  expect(outbox.batch(1, 1e6)?.results[0]).toEqual({ seq: 1, i: 0 });
});

describe("a damaged file", () => {
  const silent = createLog("silent");
  test("is moved aside and a new one begun, which goes on behind the server's count", () => {
    const path = join(scratch(), "outbox.db");
    writeFileSync(path, "this is no database ".repeat(1000));
    const outbox = openOutbox(path, silent);
    expect(outbox.add("result", { name: "a" })).toBe(1);
    outbox.reconcile(7);
    expect(names(everything(outbox))).toEqual(["8a"]);
    expect(readdirSync(dirname(path)).some((name) => name.startsWith("outbox.db.corrupt-"))).toBe(true);
  });

  test("two agents cannot share one", () => {
    const path = join(scratch(), "outbox.db");
    const store = new OutboxStore(path, silent);
    expect(() => openOutbox(path, silent)).toThrow(/another agent uses/);
    store.close();
  });
});
