// Where the agent's cost is measured: behind six routers of the network lab, or on loopback where a lab cannot be.
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { AGENT_FILE } from "../../worker/ops/builds.ts";
import { EDGE, LabFleet } from "../lab/harness/fleet.ts";
import { clearAbandoned, Lab } from "../lab/harness/lab.ts";
import { missing } from "../lab/harness/needs.ts";
import { TARGET } from "../lab/harness/ping-rows.ts";
import { ADMIN, Api } from "../support/api.ts";
import { Instance, newStateDir } from "../support/instance.ts";
import { Output } from "../support/output.ts";
import { startServices } from "../support/services.ts";
import type { Targets } from "./mix.ts";

const CONNECTED_MS = 20_000;
/** Routers and the target itself. */
const HOPS = 6;
/** The router next to the agent. */
const NEAR_ROUTER = "10.77.1.1";

/** Another build of the agent, and further environment for it: to compare. */
export interface AgentVariant {
  readonly file?: string;
  /** Options of Node before the file. */
  readonly node?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Surroundings {
  /** As shown, e.g. `lab, 6 hops`. */
  readonly name: string;
  readonly api: Api;
  readonly pid: number;
  readonly targets: Targets;
  /** Interface of the agent that leads to its server only. */
  readonly line: string | undefined;
  readonly output: Output;
  stop(): Promise<void>;
}

/** What was begun, ended in reverse order. */
class Cleanup {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.unshift(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0)) await step();
  }
}

const agentCommand = (variant: AgentVariant, state: string, args: readonly string[]): string[] => [
  ...(variant.node ?? []),
  variant.file ?? AGENT_FILE,
  "run",
  "--state",
  state,
  "--name",
  "bench",
  ...args,
];

async function connected(child: ChildProcess): Promise<Output> {
  const output = new Output(child);
  await output.line(/"msg":"connected"/, CONNECTED_MS);
  return output;
}

/** Ends an agent as its service manager would. */
const end = (child: ChildProcess) => async () => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
};

async function inLab(variant: AgentVariant, cleanup: Cleanup): Promise<Surroundings> {
  clearAbandoned();
  const lab = new Lab(`b${process.pid.toString(36)}`);
  const down = () => lab.down();
  process.once("exit", down);
  cleanup.add(() => {
    process.off("exit", down);
    down();
  });
  await lab.up();
  lab.own();
  await lab.shape("l1", "delay=1ms", "l2", "delay=8ms", "net", `hops=${HOPS}`);
  const fleet = await LabFleet.start(lab, []);
  cleanup.add(() => fleet.stop());
  const state = newStateDir();
  cleanup.add(() => rmSync(state, { recursive: true, force: true }));
  const argv = [process.execPath, ...agentCommand(variant, state, ["--ca", lab.ca])];
  // Each program on the way replaces the one before: the child is the agent.
  const child = lab.spawn("agent", argv, {
    ...variant.env,
    STREAMSWARM_SERVER: EDGE,
    STREAMSWARM_TOKEN: await fleet.api.enrolmentToken(),
  });
  cleanup.add(end(child));
  const output = await connected(child);
  return {
    name: `lab, ${HOPS} hops`,
    api: fleet.api,
    pid: child.pid ?? 0,
    line: "mgmt0",
    output,
    targets: {
      ping: ["target.lab", TARGET[4], TARGET[6], NEAR_ROUTER],
      dns: ["target.lab", "cname.lab"],
      resolver: undefined,
      http: ["http://target.lab/", "https://target.lab/"],
      tcp: "target.lab:80",
      traceroute: "target.lab",
    },
    stop: () => cleanup.run(),
  };
}

async function onLoopback(variant: AgentVariant, cleanup: Cleanup): Promise<Surroundings> {
  const env = { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" };
  const instance = await Instance.start({ env });
  cleanup.add(() => instance.dispose());
  const services = await startServices();
  cleanup.add(() => services.close());
  const api = await Api.signIn(instance.url);
  const state = newStateDir();
  cleanup.add(() => rmSync(state, { recursive: true, force: true }));
  const child = spawn(process.execPath, agentCommand(variant, state, []), {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      ...variant.env,
      STREAMSWARM_SERVER: `http://127.0.0.1:${instance.port}`,
      STREAMSWARM_TOKEN: await api.enrolmentToken(),
    },
  });
  cleanup.add(end(child));
  const output = await connected(child);
  const web = `http://127.0.0.1:${services.httpPort}`;
  return {
    name: "loopback",
    api,
    pid: child.pid ?? 0,
    line: undefined,
    output,
    targets: {
      ping: ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"],
      dns: ["www.example.com", "mail.example.com"],
      resolver: `127.0.0.1:${services.dnsPort}`,
      http: [`${web}/`, `${web}/old`],
      tcp: `127.0.0.1:${services.httpPort}`,
      traceroute: "127.0.0.1",
    },
    stop: () => cleanup.run(),
  };
}

/** An edge, a connected agent, and what it can be pointed at. */
export async function surround(variant: AgentVariant = {}): Promise<Surroundings> {
  const cleanup = new Cleanup();
  try {
    return await (missing() === null ? inLab(variant, cleanup) : onLoopback(variant, cleanup));
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}
