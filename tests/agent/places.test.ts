import { describe, expect, test } from "vitest";
import { PlacePool } from "../../agent/places.ts";
import { settle } from "./helpers/clock.ts";

type Kind = "tools" | "path";
const poolOf = (tools: number, path: number) => new PlacePool<Kind>({ tools, path });

/** Asks for places and notes its name once it has them. */
function asker(pool: PlacePool<Kind>) {
  const entered: string[] = [];
  const ask = (name: string, wish: Partial<Record<Kind, number>>) =>
    pool.take(wish).then((leave) => {
      if (leave === undefined) throw new Error(`${name} was turned away`);
      entered.push(name);
      return leave;
    });
  return { entered, ask };
}

describe("places", () => {
  test("no more than there are, first come, first served", async () => {
    const { entered, ask } = asker(poolOf(2, 1));
    const first = await ask("first", { tools: 1 });
    await ask("second", { tools: 1 });
    const third = ask("third", { tools: 1 });
    const fourth = ask("fourth", { tools: 1 });
    await settle();
    expect(entered).toEqual(["first", "second"]);
    first();
    (await third)();
    await fourth;
    expect(entered).toEqual(["first", "second", "third", "fourth"]);
  });

  test("a large wish is not overtaken for ever by small ones of the same kind", async () => {
    const { entered, ask } = asker(poolOf(2, 1));
    const first = await ask("first", { tools: 1 });
    const large = ask("large", { tools: 2 });
    const small = ask("small", { tools: 1 });
    await settle();
    expect(entered).toEqual(["first"]);
    first();
    (await large)();
    await small;
    expect(entered).toEqual(["first", "large", "small"]);
  });

  test("waiting for one kind does not hold up another", async () => {
    const { entered, ask } = asker(poolOf(1, 1));
    await ask("tool", { tools: 1 });
    ask("waits", { tools: 1 }).catch(() => {});
    await ask("path", { path: 1 });
    await ask("nothing", {});
    expect(entered).toEqual(["tool", "path", "nothing"]);
  });

  test("a large wish of one kind does not hold up small ones of another", async () => {
    const { entered, ask } = asker(poolOf(8, 1));
    await ask("first path", { path: 1 });
    ask("second path", { path: 1 }).catch(() => {});
    await ask("ping", { tools: 1 });
    expect(entered).toEqual(["first path", "ping"]);
  });

  test("who gives up waiting gets nothing and holds nobody up", async () => {
    const pool = poolOf(1, 1);
    const { entered, ask } = asker(pool);
    const first = await ask("first", { tools: 1 });
    const stop = new AbortController();
    const impatient = pool.take({ tools: 1 }, stop.signal);
    const last = ask("last", { tools: 1 });
    stop.abort();
    expect(await impatient).toBeUndefined();
    first();
    await last;
    expect(entered).toEqual(["first", "last"]);
    expect(await pool.take({}, stop.signal)).toBeUndefined();
  });

  test("a queue has an end", async () => {
    const pool = poolOf(1, 1);
    await pool.take({ tools: 1 });
    const waiting = Array.from({ length: 200 }, () => pool.take({ tools: 1 }));
    expect(await pool.take({ tools: 1 })).toBeUndefined();
    expect(waiting).toHaveLength(200);
  });

  test("a wish beyond everything takes everything; leaving twice frees once", async () => {
    const { entered, ask } = asker(poolOf(2, 1));
    const all = await ask("all", { tools: 9 });
    const next = ask("next", { tools: 2 });
    all();
    all();
    await next;
    ask("last", { tools: 1 }).catch(() => {});
    await settle();
    expect(entered).toEqual(["all", "next"]);
  });
});
