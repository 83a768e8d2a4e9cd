// The agent on this machine: started with the edge, restarted when it dies, told apart by what it reports over its pipe.
import { setTimeout as delay } from "node:timers/promises";
import { SMALL_ENVIRONMENT, SMALL_NODE_OPTIONS } from "#contract/small-process";
import { AGENT_FILE } from "./builds.ts";
import { step } from "./progress.ts";
import { rotate, Service } from "./service.ts";
import type { Settings } from "./settings.ts";
import { withoutSecrets } from "./wrangler-env.ts";

const BACKOFF_MS = { first: 1000, most: 30_000 };
/** One that ran this long was healthy: its next restart is quick again. */
const HEALTHY_MS = 60_000;
export const AGENT_GRACE_MS = 3000;

export class LocalAgent {
  readonly #settings: Settings;
  readonly #token: string;
  readonly #note: (group: number | undefined) => void;
  readonly #stopping = new AbortController();
  readonly #acked = Promise.withResolvers<void>();
  #service: Service | undefined;
  #registered = false;

  /** `note` is given the process group of every agent that starts, and undefined when it ended. */
  constructor(settings: Settings, token: string, note: (group: number | undefined) => void) {
    this.#settings = settings;
    this.#token = token;
    this.#note = note;
  }

  /** Resolves when the edge has stored the first result of this start. */
  get firstResult(): Promise<void> {
    return this.#acked.promise;
  }

  /** Runs the agent until `stop()`. */
  async run(): Promise<void> {
    rotate(this.#settings.state.agentLog);
    let wait = BACKOFF_MS.first;
    while (!this.#stopping.signal.aborted) {
      const started = performance.now();
      this.#service = this.#start();
      this.#note(this.#service.group);
      const { code, signal } = await this.#service.exited;
      this.#service.kill();
      this.#note(undefined);
      if (this.#stopping.signal.aborted) return;
      if (performance.now() - started > HEALTHY_MS) wait = BACKOFF_MS.first;
      step(
        `local agent ended (${signal ?? `code ${code}`}); again in ${wait / 1000} s. Its log: ${this.#settings.state.agentLog}`,
      );
      await delay(wait, undefined, { signal: this.#stopping.signal }).catch(ignoreAbort);
      wait = Math.min(wait * 2, BACKOFF_MS.most);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#service?.stop(AGENT_GRACE_MS);
  }

  kill(): void {
    this.#stopping.abort();
    this.#service?.kill();
  }

  #start(): Service {
    const { state, localUrl } = this.#settings;
    const env = {
      ...SMALL_ENVIRONMENT,
      ...withoutSecrets(process.env),
      STREAMSWARM_SERVER: localUrl,
      STREAMSWARM_TOKEN: this.#token,
      STREAMSWARM_TAG: "streamswarm=local",
      STREAMSWARM_STATE: state.agent,
      STREAMSWARM_PARENT: "1",
      // The edge is on this machine, whatever proxy the environment names.
      NO_PROXY: [process.env.NO_PROXY, "localhost", "127.0.0.1", "::1"].filter(Boolean).join(","),
    };
    // Its pipe to us would not survive the restart by which an agent gives itself these options.
    const args = [...SMALL_NODE_OPTIONS, AGENT_FILE, "run", "--state", state.agent];
    return new Service(args, env, state.agentLog, (message) => this.#onMessage(message));
  }

  #onMessage(message: unknown): void {
    const type = typeof message === "object" && message !== null && "type" in message ? message.type : undefined;
    if (type === "registered" && !this.#registered) {
      this.#registered = true;
      step("local agent registered");
    }
    if (type === "acked") this.#acked.resolve();
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === "AbortError")) throw error;
}
