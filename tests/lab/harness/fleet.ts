// An edge and offices inside the lab: the edge on its node, one real agent in each office, all of them joined by the
// management network, so that what happens to the measured links does not touch their talk with the edge.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AGENT_FILE } from "../../../worker/ops/builds.ts";
import { ADMIN, Api, type Fetch } from "../../support/api.ts";
import { Output } from "../../support/output.ts";
import { until } from "../../support/wait.ts";
import type { Lab, LabNode, Office } from "./lab.ts";

const START = join(import.meta.dirname, "../../../worker/ops/start.ts");
const ASK = join(import.meta.dirname, "ask.mjs");
/** Where the edge is, on the management network. */
export const EDGE = "http://10.78.0.1:8787";
const READY_MS = 60_000;
const STOP_MS = 8000;

/** Where each office is measured: by its address on the measured side, never by the management network. */
export const OFFICE_ADDRESS = { agent: "10.77.1.2", o2: "10.77.22.2", o3: "10.77.23.2", o4: "10.77.24.2" } as const;
export type OfficeNode = "agent" | Office;
export const OFFICES: readonly OfficeNode[] = ["agent", "o2", "o3", "o4"];

class Running {
  readonly output: Output;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.output = new Output(child);
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
  }

  async stop(): Promise<void> {
    const group = (signal: NodeJS.Signals) => {
      try {
        process.kill(-(this.#child.pid ?? 0), signal);
      } catch (error) {
        // It has ended already.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    };
    group("SIGTERM");
    const late = setTimeout(() => group("SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(late);
  }
}

/** Asks from the edge's own namespace, which this process is not in. */
const askIn =
  (lab: Lab): Fetch =>
  async (url, init) => {
    const ended = await lab.exec([process.execPath, ASK, url, JSON.stringify(init)], { node: "edge", timeout: 30_000 });
    if (ended.code !== 0) throw new Error(`${init.method} ${url} could not be asked: ${ended.stderr.slice(0, 400)}`);
    const { status, cookie, body } = JSON.parse(ended.stdout) as { status: number; cookie: string | null; body: string };
    const headers: HeadersInit = cookie === null ? {} : { "set-cookie": cookie };
    return new Response(status === 204 ? null : body, { status, headers });
  };

export class LabFleet {
  readonly api: Api;
  /** Client id of each office. */
  readonly ids: Readonly<Record<string, string>>;
  readonly #running: readonly Running[];
  readonly #state: string;

  private constructor(api: Api, ids: Record<string, string>, running: readonly Running[], state: string) {
    this.api = api;
    this.ids = ids;
    this.#running = running;
    this.#state = state;
  }

  /** Starts the edge and an agent in each of these offices, and waits until all of them are online. */
  static async start(lab: Lab, offices: readonly OfficeNode[] = OFFICES): Promise<LabFleet> {
    await lab.sites(4);
    const state = mkdtempSync(join(tmpdir(), "streamswarm-lab-fleet-"));
    const running: Running[] = [];
    const begin = (node: LabNode, argv: readonly string[], env: Record<string, string>) => {
      const one = new Running(lab.spawn(node, argv, env));
      running.push(one);
      return one;
    };
    try {
      const edge = begin("edge", [process.execPath, START], {
        HOST: "0.0.0.0",
        PORT: "8787",
        STREAMSWARM_STATE: join(state, "edge"),
        STREAMSWARM_LOCAL_AGENT: "0",
        ADMIN_USERNAME: ADMIN.username,
        ADMIN_PASSWORD: ADMIN.password,
      });
      await edge.output.line(/^ready http/, READY_MS);
      const api = await Api.signIn(EDGE, askIn(lab));
      const token = await api.enrolmentToken();
      for (const office of offices) {
        const argv = [process.execPath, AGENT_FILE, "run", "--state", join(state, office), "--name", office, "--site", office];
        begin(office, [...argv, "--reflector-address", OFFICE_ADDRESS[office]], {
          STREAMSWARM_SERVER: EDGE,
          STREAMSWARM_TOKEN: token,
        });
      }
      const all = await until(
        "every office online",
        READY_MS,
        () => api.clients(),
        (clients) => clients.filter(({ status }) => status === "online").length === offices.length,
      );
      return new LabFleet(api, Object.fromEntries(all.map(({ name, id }) => [name, id])), running, state);
    } catch (error) {
      const said = running.map(({ output }) => output.text.slice(-2000)).join("\n---\n");
      await Promise.all(running.map((one) => one.stop()));
      rmSync(state, { recursive: true, force: true });
      throw new Error(`the fleet did not start: ${String(error)}\n${said}`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((one) => one.stop()));
    rmSync(this.#state, { recursive: true, force: true });
  }
}
