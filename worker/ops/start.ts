// `npm start`: builds what changed, migrates, serves the edge and runs one local agent until it is told to stop.
import { ensureBuilt } from "./builds.ts";
import { checkPortIsFree, edgeEnded, needsSetup, startEdge, waitForEdge } from "./edge.ts";
import { LocalAgent } from "./local-agent.ts";
import { ensureMigrated } from "./migrate.ts";
import { report } from "./ops-error.ts";
import { step } from "./progress.ts";
import { RunFile } from "./run-file.ts";
import { loadSecrets, makeStateDir, type Secrets, writeEdgeEnv } from "./secrets.ts";
import type { Service } from "./service.ts";
import { readSettings, type Settings } from "./settings.ts";

const EDGE_GRACE_MS = 5000;
/** After this long without a stored result something is wrong, and the log says what. */
const FIRST_RESULT_MS = 60_000;

class Instance {
  #run: RunFile | undefined;
  #edge: Service | undefined;
  #agent: LocalAgent | undefined;
  #stopping: Promise<never> | undefined;

  async start(): Promise<void> {
    const settings = readSettings(process.env);
    makeStateDir(settings.state);
    this.#run = await RunFile.claim(settings.state, settings.url, step);
    await checkPortIsFree(settings);
    const agentBuilt = settings.localAgent ? ensureBuilt("agent") : Promise.resolve();
    const [secrets] = await Promise.all([
      loadSecrets(settings.state, process.env),
      ensureBuilt("web"),
      ensureMigrated(settings.state),
      // Awaited here as well, so that its failure is never an unhandled one.
      agentBuilt,
    ]);
    writeEdgeEnv(settings, secrets);
    await this.#serve(settings);
    if (settings.localAgent) await this.#measure(settings, secrets);
    await printSetupLink(settings, secrets);
    console.log(`ready ${settings.url}`);
  }

  async #serve(settings: Settings): Promise<void> {
    const edge = startEdge(settings);
    this.#edge = edge;
    this.#run?.note("edge", edge.group);
    await waitForEdge(edge, settings);
    step(`serving on ${settings.url}`);
    edge.exited.then(
      () => this.#fail(edgeEnded(edge, settings)),
      (error: unknown) => this.#fail(error),
    );
  }

  async #measure(settings: Settings, secrets: Secrets): Promise<void> {
    const agent = new LocalAgent(settings, secrets.LOCAL_AGENT_TOKEN, (group) => this.#run?.note("agent", group));
    this.#agent = agent;
    const patience = setTimeout(() => {
      step(
        `the local agent has no result stored after ${FIRST_RESULT_MS / 1000} s. Its log says why: ${settings.state.agentLog}`,
      );
    }, FIRST_RESULT_MS);
    agent.run().catch((error: unknown) => this.#fail(error));
    await agent.firstResult;
    clearTimeout(patience);
    step("first result stored");
  }

  /** Ends everything once, however often it is asked, and leaves with `code`. */
  stop(code: number): Promise<never> {
    this.#stopping ??= this.#end(code);
    return this.#stopping;
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  async #end(code: number): Promise<never> {
    await this.#agent?.stop();
    await this.#edge?.stop(EDGE_GRACE_MS);
    this.#run?.release();
    process.exit(code);
  }

  async #fail(error: unknown): Promise<void> {
    if (this.isStopping) return;
    await this.stop(report(error));
  }

  /** Last resort when this process dies in a way it did not plan. */
  kill(): void {
    this.#agent?.kill();
    this.#edge?.kill();
  }
}

async function printSetupLink(settings: Settings, secrets: Secrets): Promise<void> {
  if (settings.admin || settings.authBypass || !(await needsSetup(settings))) return;
  console.log(`\nCreate the first account (this link works once):\n${settings.url}/setup#${secrets.SETUP_CODE}\n`);
}

const instance = new Instance();

function stopOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void instance.stop(0));
  // The bootstrap, or whoever started this with a pipe, is gone.
  process.on("disconnect", () => void instance.stop(0));
  // Nobody reads any more: the terminal or the program behind the pipe is gone.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => void instance.stop(0));
  process.on("exit", () => instance.kill());
}

stopOnSignals();
try {
  await instance.start();
} catch (error) {
  if (!instance.isStopping) await instance.stop(report(error));
}
