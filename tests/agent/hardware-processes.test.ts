// Processes and containers: names and figures without secrets, from real trees and a real socket.

import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Containers, containerOf, parseContainerList } from "../../agent/host/containers.ts";
import { rootsAt } from "../../agent/host/hardware-files.ts";
import { Processes, pageSize, parseProcessStat } from "../../agent/host/processes.ts";
import { scratch } from "./helpers/cli.ts";
import { plant, type Tree } from "./helpers/tree.ts";

describe("processes", () => {
  interface Given {
    pid: number;
    name: string;
    ticks: number;
    started?: number;
    pages?: number;
  }
  const stat = ({ pid, name, ticks, started = 50, pages = 10 }: Given) =>
    `${pid} (${name}) S 1 1 1 0 -1 4194304 1 2 3 4 ${ticks} 0 900 900 20 0 1 0 ${started} 1000 ${pages} 18446744073709551615\n`;
  const set = (tree: Tree, given: Given) => {
    tree.put(`/proc/${given.pid}/stat`, stat(given));
    tree.put(`/proc/${given.pid}/cmdline`, "mysql\0--password=hunter2\0");
  };

  test("a line of /proc/PID/stat whose name holds brackets and spaces", () => {
    expect(parseProcessStat(stat({ pid: 7, name: "a) (b c", ticks: 31, started: 9, pages: 4 }))).toEqual({
      pid: 7,
      name: "a) (b c",
      ticks: 31,
      started: 9,
      rss_pages: 4,
    });
    expect(parseProcessStat("7 (x")).toBeUndefined();
    expect(parseProcessStat("")).toBeUndefined();
    expect(parseProcessStat(stat({ pid: 7, name: "a\u001b[2J", ticks: 1 }))?.name).toBe("a?[2J");
  });

  test("the busiest and the largest five, by name alone", async () => {
    const tree = plant();
    tree.put("/proc/uptime", "100.00 10.00\n");
    for (let pid = 1; pid <= 8; pid++) set(tree, { pid, name: `p${pid}`, ticks: 100, pages: pid });
    const processes = new Processes(rootsAt(tree.top));
    const first = await processes.look(0);
    expect(first).toMatchObject({ over_s: null, top_cpu: [] });
    expect(first?.top_memory.map((each) => each.name)).toEqual(["p8", "p7", "p6", "p5", "p4"]);
    for (let pid = 1; pid <= 8; pid++) set(tree, { pid, name: `p${pid}`, ticks: 100 + 10 * pid, pages: pid });
    const second = await processes.look(10_000);
    expect(second?.top_cpu.map((each) => each.name)).toEqual(["p8", "p7", "p6", "p5", "p4"]);
    expect(second).toMatchObject({ over_s: 10, top_cpu: [{ cpu_pct: 8 }, {}, {}, {}, {}] });
    expect(JSON.stringify(second)).not.toContain("hunter2");
  });

  test("a number used again is another process; one that was not seen before has no share unless it is new", async () => {
    const tree = plant();
    tree.put("/proc/uptime", "100.00 10.00\n");
    set(tree, { pid: 1, name: "old", ticks: 5000 });
    const processes = new Processes(rootsAt(tree.top));
    await processes.look(0);
    set(tree, { pid: 1, name: "new", ticks: 7, started: 10_050 });
    set(tree, { pid: 2, name: "hidden", ticks: 99_999, started: 60 });
    const look = await processes.look(7000);
    expect(look?.top_cpu.map(({ name, cpu_pct }) => [name, cpu_pct])).toEqual([["new", 1]]);
  });

  test("two looks come at once; then the next one waits until it is worth its cost", async () => {
    const processes = new Processes(rootsAt(""));
    expect(processes.due(0, false)).toBe(true);
    await processes.look(0);
    expect(processes.due(300, false)).toBe(true);
    await processes.look(300);
    expect(processes.due(301, false)).toBe(false);
    expect(processes.due(3_600_000, false)).toBe(true);
  });

  test("two thousand are read at most", async () => {
    const tree = plant();
    for (let pid = 1; pid <= 2100; pid++) tree.put(`/proc/${pid}/stat`, stat({ pid, name: "p", ticks: 1, pages: pid }));
    const look = await new Processes(rootsAt(tree.top)).look(0);
    expect(look?.top_memory[0]?.pid).toBe(2000);
  });

  test("the size of a page from the auxiliary vector, of either word", () => {
    const wide = Buffer.alloc(64);
    wide.writeBigUInt64LE(33n, 0);
    wide.writeBigUInt64LE(6n, 16);
    wide.writeBigUInt64LE(16384n, 24);
    expect(pageSize(wide, 8)).toBe(16384);
    const narrow = Buffer.alloc(32);
    narrow.writeUInt32LE(6, 8);
    narrow.writeUInt32LE(4096, 12);
    expect(pageSize(narrow, 4)).toBe(4096);
    expect(pageSize(Buffer.alloc(0), 8)).toBeUndefined();
  });
});

describe("containers", () => {
  const ID = "4f9c3b7d".repeat(8);
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** An engine on the tree's docker.sock. */
  async function engine(tree: Tree, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string[]> {
    const asked: string[] = [];
    mkdirSync(join(tree.top, "run"), { recursive: true });
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(tree.top, "run/docker.sock"), resolve));
    return asked;
  }

  test("names come from the engine, asked with one GET and nothing else", async () => {
    const tree = plant("server");
    const asked = await engine(tree, (_, response) => response.end(JSON.stringify([{ Id: ID, Names: ["/web"] }])));
    const containers = new Containers(rootsAt(tree.top));
    await containers.learnNames();
    expect(asked).toEqual(["GET /containers/json"]);
    expect(containers.read(0).containers[0]).toMatchObject({ id: ID.slice(0, 12), name: "web" });
  });

  test("an engine that never answers is waited for a second; one that floods or refuses tells nothing", async () => {
    const tree = plant("server");
    await engine(tree, () => undefined);
    const containers = new Containers(rootsAt(tree.top));
    const start = performance.now();
    await containers.learnNames();
    expect(performance.now() - start).toBeGreaterThan(900);
    expect(performance.now() - start).toBeLessThan(2000);
    const flooded = plant("server");
    await engine(flooded, (_, response) => response.end(`["${"x".repeat(3_000_000)}"]`));
    const others = new Containers(rootsAt(flooded.top));
    await others.learnNames();
    expect(others.read(0)).toMatchObject({ running: 4, containers: [{ name: null }, {}, {}, {}] });
  });

  test("groups that a user made under its own do not hide the host's containers", () => {
    const tree = plant();
    tree.put("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    const real = `/sys/fs/cgroup/system.slice/docker-${ID}.scope`;
    tree.put(`${real}/memory.current`, "4096\n");
    tree.put(`${real}/memory.stat`, "inactive_file 0\n");
    const own = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";
    for (let i = 0; i < 300; i++) {
      const id = i.toString(16).padStart(64, "0");
      mkdirSync(join(tree.top, `${own}/docker-${id}.scope`), { recursive: true });
      mkdirSync(join(tree.top, `${own}/kubepods-${i}/kubepods-0/kubepods-1/kubepods-2`), { recursive: true });
    }
    const { containers, running } = new Containers(rootsAt(tree.top)).read(0);
    expect(containers[0]).toMatchObject({ id: ID.slice(0, 12), memory_bytes: 4096 });
    expect(running).toBe(256);
  });

  test("lists of every shape", () => {
    expect(parseContainerList("")).toEqual([]);
    expect(parseContainerList('{"message":"page not found"}')).toEqual([]);
    expect(parseContainerList('[null,1,{"Id":1,"Names":["/x"]},{"Id":"a","Names":[]},{"Id":"b","Names":["/y"]}]')).toEqual([
      ["b", "y"],
    ]);
  });

  test("processor share of one core between two looks", () => {
    const tree = plant("server");
    const containers = new Containers(rootsAt(tree.top));
    expect(containers.read(0).containers[0]?.cpu_pct).toBeNull();
    tree.put(`/sys/fs/cgroup/system.slice/docker-${ID}.scope/cpu.stat`, "usage_usec 6500000\n");
    expect(containers.read(3000).containers[0]?.cpu_pct).toBe(50);
    tree.put(`/sys/fs/cgroup/system.slice/docker-${ID}.scope/cpu.stat`, "usage_usec 1\n");
    expect(containers.read(6000).containers[0]?.cpu_pct).toBeNull();
  });

  test("an agent inside of one does not say that none is running", () => {
    const tree = plant("vm");
    tree.put("/.dockerenv", "");
    expect(containerOf(rootsAt(tree.top))).toBe("docker");
    expect(new Containers(rootsAt(tree.top)).read(0)).toMatchObject({ running: undefined, why: "unsupported" });
  });

  test("which kind of container this is", () => {
    const kind = (path: string, text: string) => {
      const tree = plant();
      tree.put(path, text);
      return containerOf(rootsAt(tree.top));
    };
    expect(kind("/run/systemd/container", "systemd-nspawn\n")).toBe("systemd-nspawn");
    expect(kind("/run/.containerenv", "")).toBe("podman");
    expect(kind("/proc/self/cgroup", "0::/kubepods.slice/x\n")).toBe("kubernetes");
    expect(kind("/proc/self/cgroup", `12:memory:/docker/${ID}\n`)).toBe("docker");
    expect(kind("/proc/self/cgroup", "12:memory:/lxc/mail\n")).toBe("lxc");
    expect(containerOf(rootsAt(scratch()))).toBeNull();
  });
});
