// Containers on this host by their control groups (kernel documentation, admin-guide/cgroup-v2.rst and cgroup-v1), and whether
// the agent itself runs in one. Their names come from the engine's socket where this process may use it.
import { accessSync, constants, existsSync } from "node:fs";
import type { Container } from "#contract/host-detail";
import type { Reason } from "#contract/metrics";
import { round3 } from "../statistics.ts";
import { namesIn, numberOf, type Roots, textOf } from "./hardware-files.ts";

/** Directories on the way to containers; everything else is not entered. */
const WAY =
  /^(docker|podman|lxc|lxc\.payload|libpod_parent|machine\.slice|system\.slice|user\.slice|user-\d+\.slice|user@\d+\.service|kubepods.*|burstable|besteffort|guaranteed|pod[0-9a-f-]{36})$/;
/** docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope, crio-ID.scope, nerdctl-ID.scope, or the bare id. */
const ENGINE = /^(?:(?:docker|libpod|cri-containerd|crio|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?$/;
const LXC = /^lxc\.payload\.(.+)$/;
const NSPAWN = /^(?:systemd-nspawn@(.+)\.service|machine-(?!qemu|lxc)([\w.-]+)\.scope)$/;
const DEEPEST = 7;
const MOST = 256;
/** Directories looked into: a user to whom a group was delegated may make any number of them. */
const MOST_LOOKS = 1000;
/** Rows in the sample: the largest by memory. */
const SHOWN = 50;
const SHORT_ID = 12;
const NAMES_MS = 1000;
const NAMES_BYTES = 1024 * 1024;

interface Found {
  /** Below the hierarchy's root. */
  readonly path: string;
  readonly id: string;
  readonly name: string | null;
}

/** A directory's container, or undefined. `parent` tells an LXC of the older layout (lxc/NAME). */
function containerIn(name: string, parent: string): Omit<Found, "path"> | undefined {
  const id = ENGINE.exec(name)?.[1];
  if (id !== undefined) return { id, name: null };
  const known = LXC.exec(name)?.[1] ?? NSPAWN.exec(name)?.[1] ?? NSPAWN.exec(name)?.[2];
  if (known !== undefined) return { id: known, name: known };
  return parent === "lxc" && !name.includes(".") ? { id: name, name } : undefined;
}

/** Containers below the hierarchy's root, those near it first. */
function findAll(root: string): Found[] {
  const found: Found[] = [];
  const ways = [{ path: "", depth: 0 }];
  let looks = 0;
  for (const { path, depth } of ways) {
    const parent = path.slice(path.lastIndexOf("/") + 1);
    if (looks++ >= MOST_LOOKS) return found;
    for (const name of namesIn(root + path) ?? []) {
      const container = containerIn(name, parent);
      if (container !== undefined && looks++ < MOST_LOOKS && namesIn(`${root}${path}/${name}`) !== undefined)
        found.push({ path: `${path}/${name}`, ...container });
      else if (depth < DEEPEST && WAY.test(name)) ways.push({ path: `${path}/${name}`, depth: depth + 1 });
      if (found.length >= MOST) return found;
    }
  }
  return found;
}

/** The hierarchies that hold the figures: one for both since version 2. */
interface Hierarchies {
  readonly version: 1 | 2;
  readonly memory: string;
  readonly cpu: string;
}

function hierarchies(roots: Roots): Hierarchies | undefined {
  const base = `${roots.sys}/fs/cgroup`;
  if (existsSync(`${base}/cgroup.controllers`)) return { version: 2, memory: base, cpu: base };
  if (namesIn(`${base}/memory`) === undefined) return undefined;
  return { version: 1, memory: `${base}/memory`, cpu: `${base}/cpuacct` };
}

/** Memory in use without the pages that are the first to go, bytes. */
function memoryOf({ version, memory }: Hierarchies, path: string): number | null {
  const used = numberOf(`${memory}${path}/${version === 2 ? "memory.current" : "memory.usage_in_bytes"}`);
  const field = version === 2 ? /^inactive_file (\d+)$/m : /^total_inactive_file (\d+)$/m;
  const idle = field.exec(textOf(`${memory}${path}/memory.stat`) ?? "")?.[1];
  return used === undefined || idle === undefined ? null : Math.max(0, used - Number(idle));
}

/** Processor time used so far, µs. */
function cpuOf({ version, cpu }: Hierarchies, path: string): number | undefined {
  if (version === 1) {
    const ns = numberOf(`${cpu}${path}/cpuacct.usage`);
    return ns === undefined ? undefined : ns / 1000;
  }
  const usec = /^usage_usec (\d+)$/m.exec(textOf(`${cpu}${path}/cpu.stat`) ?? "")?.[1];
  return usec === undefined ? undefined : Number(usec);
}

export interface ContainerReading {
  readonly containers: readonly Container[];
  readonly running: number | undefined;
  readonly why: Reason;
}

export class Containers {
  readonly #roots: Roots;
  #before: { at: number; cpu: ReadonlyMap<string, number> } | undefined;
  #names: ReadonlyMap<string, string> = new Map();

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  /** One look; `at` in monotonic milliseconds. */
  read(at: number): ContainerReading {
    const trees = hierarchies(this.#roots);
    const inside = containerOf(this.#roots) !== null;
    if (trees === undefined) return { containers: [], running: undefined, why: "unsupported" };
    const found = findAll(trees.memory);
    // From inside of one, the others of the host are out of sight.
    if (found.length === 0 && inside) return { containers: [], running: undefined, why: "unsupported" };
    const cpu = new Map(
      found.flatMap(({ id, path }) => {
        const used = cpuOf(trees, path);
        return used === undefined ? [] : [[id, used] as const];
      }),
    );
    const before = this.#before;
    this.#before = { at, cpu };
    const containers = found.map(({ id, name, path }) => ({
      id: id.slice(0, name === null ? SHORT_ID : 100),
      name: name ?? this.#names.get(id) ?? null,
      cpu_pct: cpuShare(before?.cpu.get(id), cpu.get(id), before === undefined ? 0 : at - before.at),
      memory_bytes: memoryOf(trees, path),
    }));
    const shown = containers.sort((a, b) => (b.memory_bytes ?? 0) - (a.memory_bytes ?? 0)).slice(0, SHOWN);
    return { containers: shown, running: found.length, why: "unsupported" };
  }

  /** Asks the engines' sockets for names, where this process may use them. */
  async learnNames(): Promise<void> {
    const sockets = [`${this.#roots.run}/docker.sock`, `${this.#roots.run}/podman/podman.sock`].filter(usable);
    const lists = await Promise.all(sockets.map(namesFrom));
    this.#names = new Map(lists.flat());
  }
}

/** Percent of one core. */
function cpuShare(before: number | undefined, now: number | undefined, elapsed_ms: number): number | null {
  if (before === undefined || now === undefined || now < before || elapsed_ms <= 0) return null;
  return round3((100 * (now - before)) / 1000 / elapsed_ms);
}

function usable(socket: string): boolean {
  try {
    accessSync(socket, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Names by id in an engine's list of containers (Docker Engine API, GET /containers/json; Podman answers alike). */
export function parseContainerList(body: string): [string, string][] {
  let list: unknown;
  try {
    list = JSON.parse(body);
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).flatMap((each): [string, string][] => {
    const { Id: id, Names: names } = (each ?? {}) as { Id?: unknown; Names?: unknown };
    const first: unknown = Array.isArray(names) ? names[0] : undefined;
    if (typeof id !== "string" || typeof first !== "string") return [];
    return [[id, first.replace(/^\//, "").slice(0, 100)]];
  });
}

async function namesFrom(socketPath: string): Promise<[string, string][]> {
  const { request } = await import("node:http");
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/containers/json", headers: { host: "localhost" } }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > NAMES_BYTES) asked.destroy();
        else chunks.push(chunk);
      });
      answer.on("end", () =>
        resolve(answer.statusCode === 200 ? parseContainerList(Buffer.concat(chunks).toString("utf8")) : []),
      );
      answer.on("error", () => resolve([]));
    });
    // A socket's own time-out starts anew with every byte; this one does not.
    const timer = setTimeout(() => asked.destroy(), NAMES_MS);
    asked.on("error", () => resolve([]));
    asked.on("close", () => {
      clearTimeout(timer);
      resolve([]);
    });
    asked.end();
  });
}

/** The kind of container this process runs in, or null. */
export function containerOf(roots: Roots): string | null {
  const told = textOf(`${roots.run}/systemd/container`);
  if (told !== undefined && told !== "") return told.slice(0, 40);
  if (existsSync(`${roots.run}/.containerenv`)) return "podman";
  const groups = textOf(`${roots.proc}/self/cgroup`) ?? "";
  if (/\/kubepods/.test(groups)) return "kubernetes";
  if (existsSync(`${roots.top}/.dockerenv`) || /\/docker[/-][0-9a-f]{64}/.test(groups)) return "docker";
  return /\/lxc[./]/.test(groups) ? "lxc" : null;
}
