// An office in network namespaces of its own: a host and, over one cable, its gateway, behind which everything else stands.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(":");

function run(file: string, args: readonly string[]): void {
  execFileSync(file, args, { env: { ...process.env, PATH }, stdio: ["ignore", "ignore", "pipe"] });
}

/** Why no office can be made here; undefined where it can. */
export function missing(): string | undefined {
  if (process.platform !== "linux") return "needs Linux namespaces";
  if (process.getuid?.() !== 0) return "needs root";
  const tool = ["ip", "nft", "unshare", "mount", "ping"].find(
    (name) => !PATH.split(":").some((dir) => existsSync(join(dir, name))),
  );
  return tool === undefined ? undefined : `needs ${tool}`;
}

export const GATEWAY = "10.91.0.1";
/** Stand behind the gateway. */
export const RESOLVER = "10.91.1.53";
export const EDGE = "10.91.1.80";
export const TARGET = "10.91.1.7";
const BEYOND = [RESOLVER, EDGE, TARGET];

interface Waiting {
  readonly fits: (line: Record<string, unknown>) => boolean;
  readonly resolve: (line: Record<string, unknown>) => void;
}

/** A program in the office that answers each line of JSON with one. */
export class Subject {
  readonly #child: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  readonly #waiting: Waiting[] = [];
  #id = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error("its output is not piped");
    createInterface(child.stdout).on("line", (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      this.lines.push(line);
      for (const one of [...this.#waiting]) {
        if (!one.fits(line)) continue;
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        one.resolve(line);
      }
    });
  }

  /** The next line that fits, come already or still to come. */
  line(fits: Waiting["fits"]): Promise<Record<string, unknown>> {
    const known = this.lines.find(fits);
    return known !== undefined ? Promise.resolve(known) : new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }

  async ask<Reply>(order: Record<string, unknown>): Promise<Reply> {
    this.#id += 1;
    const id = this.#id;
    this.#child.stdin?.write(`${JSON.stringify({ id, ...order })}\n`);
    return (await this.line((line) => line.id === id)).reply as Reply;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

export class Office {
  readonly #id: string;
  readonly #dir = mkdtempSync(join(tmpdir(), "streamswarm-office-"));
  readonly #subjects: Subject[] = [];

  constructor(id: string) {
    this.#id = id;
    for (const place of ["host", "gw"]) run("ip", ["netns", "add", `${id}-${place}`]);
    run("ip", ["-n", `${id}-host`, "link", "add", "eth0", "type", "veth", "peer", "name", "lan0", "netns", `${id}-gw`]);
    this.#ip("host", "addr add 10.91.0.2/24 dev eth0");
    this.#ip("gw", `addr add ${GATEWAY}/24 dev lan0`);
    for (const address of BEYOND) this.#ip("gw", `addr add ${address}/32 dev lo`);
    for (const place of ["host", "gw"] as const) this.#ip(place, "link set lo up");
    this.#ip("gw", "link set lan0 up");
    this.#plug();
    this.resolvers(RESOLVER);
  }

  #ip(place: "host" | "gw", words: string): void {
    run("ip", ["-n", `${this.#id}-${place}`, ...words.split(" ")]);
  }

  #plug(): void {
    this.#ip("host", "link set eth0 up");
    this.#ip("host", `route replace default via ${GATEWAY}`);
  }

  resolvers(...addresses: readonly string[]): void {
    writeFileSync(join(this.#dir, "resolv.conf"), addresses.map((address) => `nameserver ${address}\n`).join(""));
  }

  /** The servers that systemd-resolved of the host would ask. */
  behindStub(address: string): void {
    writeFileSync(join(this.#dir, "behind.conf"), `nameserver ${address}\n`);
  }

  /** The gateway drops what these nft rules say; none lets everything through. */
  drop(...rules: readonly string[]): void {
    const chain = `add table inet t\nflush table inet t\nadd chain inet t in { type filter hook input priority 0; }\n`;
    const file = join(this.#dir, "rules.nft");
    writeFileSync(file, chain + rules.map((rule) => `add rule inet t in ${rule} drop\n`).join(""));
    run("ip", ["netns", "exec", `${this.#id}-gw`, "nft", "-f", file]);
  }

  /** Pulls the cable on the host's side, with it its routes; or on the far side, which the host sees as a lost carrier. */
  unplug(side: "host" | "gw" = "host"): void {
    this.#ip(side, `link set ${side === "host" ? "eth0" : "lan0"} down`);
  }

  /** The host's kernel forgets that it ever heard the gateway. */
  forget(): void {
    this.#ip("host", "neigh flush all");
  }

  plug(): void {
    this.#ip("gw", "link set lan0 up");
    this.#plug();
  }

  /** A Node program at a place; the host's sees the office's resolv.conf and nothing of this machine's /run. */
  start(place: "host" | "gw", program: string, args: readonly string[] = [], env: Record<string, string> = {}): Subject {
    const setup = [
      `mount --bind ${this.#dir}/resolv.conf /etc/resolv.conf`,
      "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/resolve",
      `if [ -f ${this.#dir}/behind.conf ]; then cp ${this.#dir}/behind.conf /run/systemd/resolve/resolv.conf; fi`,
      'exec "$@"',
    ].join(" && ");
    const argv = ["netns", "exec", `${this.#id}-${place}`, "unshare", "-m", "sh", "-c", setup, "sh"];
    const child = spawn("ip", [...argv, process.execPath, program, ...args], {
      env: { ...process.env, PATH, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const subject = new Subject(child);
    this.#subjects.push(subject);
    return subject;
  }

  async close(): Promise<void> {
    await Promise.all(this.#subjects.map((subject) => subject.end()));
    for (const place of ["host", "gw"]) run("ip", ["netns", "del", `${this.#id}-${place}`]);
    rmSync(this.#dir, { recursive: true });
  }
}
