// `run`: the agent as a service or in a terminal.
import type { Command } from "commander";
import { REFLECTOR_PORT } from "#contract/peers";
import { keepLedgerIn } from "./bandwidth/ledger.ts";
import { type Config, fromEnvironment, fromFile, parseTags, type RawConfig, resolveConfig } from "./config.ts";
import type { KeeperParts } from "./consent-keeper.ts";
import { discoverServer } from "./discovery.ts";
import { EXIT, FatalError, UsageError } from "./exit.ts";
import { StateDir } from "./identity.ts";
import { trustCa, useProxyFromEnvironment } from "./network.ts";
import { keepSmall } from "./small-process.ts";
import { VERSION } from "./version.ts";

interface Flags extends Omit<RawConfig, "tags" | "log_level" | "reflector_port" | "reflector_address" | "self_test"> {
  tag?: string[];
  logLevel?: string;
  config?: string;
  reflectorPort?: string;
  reflectorAddress?: string[];
  selfTest?: boolean;
}

/** Flags, environment and file in one. Throws UsageError naming what is wrong. */
export function readConfig(flags: Flags, env: NodeJS.ProcessEnv = process.env): Config {
  const { tag, logLevel, config, reflectorPort, reflectorAddress, reflector, selfTest, ...plain } = flags;
  const tags = tag === undefined ? undefined : parseTags(tag, "--tag");
  const answers = {
    // Without --no-reflector the flag is true by itself, which must not overrule a setting.
    reflector: reflector === false ? false : undefined,
    self_test: selfTest === false ? false : undefined,
    reflector_port: reflectorPort,
    reflector_address: reflectorAddress,
  };
  return resolveConfig({ ...plain, ...answers, tags, log_level: logLevel }, fromEnvironment(env), fromFile(config));
}

/** The configured server, else the one registered with, else what DNS says. */
async function chooseServer(config: Config, state: StateDir): Promise<string> {
  const known = config.server ?? state.peekIdentity()?.server ?? (await discoverServer());
  if (known !== undefined) return known;
  throw new UsageError(
    "--server is missing, and DNS has no SRV record _streamswarm._tcp in this host's search domains; give --server https://…",
  );
}

function prepareState(config: Config): StateDir {
  const state = new StateDir(config.state);
  // Everything this process makes is its owner's alone, the outbox and its log included.
  process.umask(0o077);
  try {
    state.prepare();
  } catch (error) {
    throw new UsageError(`--state ${config.state} cannot be used: ${(error as Error).message}`);
  }
  return state;
}

/** Tells a parent process how far the agent is; without one, nobody listens. */
function tellParent(event: Record<string, unknown>): void {
  if (process.send !== undefined && process.connected) process.send(event);
}

/** The consent file, read before anything is contacted. Its code is loaded where there is one. */
async function readConsent(path: string): Promise<Pick<KeeperParts, "path" | "file">> {
  const { readConsentFile } = await import("./consent-file.ts");
  return { path, file: await readConsentFile(path) };
}

async function keepConsent(parts: Omit<KeeperParts, "now">) {
  const { ConsentKeeper } = await import("./consent-keeper.ts");
  return new ConsentKeeper(parts);
}

async function run(flags: Flags): Promise<void> {
  const config = readConfig(flags);
  const file = config.consent === undefined ? undefined : await readConsent(config.consent);
  if (config.ca !== undefined) trustCa(config.ca);
  useProxyFromEnvironment();
  const state = prepareState(config);
  keepLedgerIn(state.path);
  const server = await chooseServer(config, state);
  const [{ Agent }, { createLog }, { runsUnderWay }] = await Promise.all([
    import("./agent.ts"),
    import("./log.ts"),
    import("./runner.ts"),
  ]);
  const log = createLog(config.log_level);
  log.info({ version: VERSION, server, state: config.state, name: config.name }, "starting");
  const consent = file === undefined ? undefined : await keepConsent({ ...file, state: state.path, server, log });
  const agent = new Agent({ config: { ...config, server }, state, log, consent, event: tellParent });
  let stopping: Promise<void> | undefined;
  const stop = (why: string) => {
    log.info({ why }, "stopping");
    stopping ??= agent.stop();
  };
  keepSmall(() => runsUnderWay() > 0);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(signal));
  try {
    await agent.run();
  } catch (error) {
    // What only a person can help is said plainly; anything else is a mistake of ours and needs its stack.
    if (error instanceof FatalError) log.fatal(error.message);
    else log.fatal({ stack: error instanceof Error ? error.stack : String(error) }, "the agent broke");
    process.exitCode = EXIT.failed;
    stop("nothing more to do");
  }
  await stopping;
  log.info("stopped");
  // Kept-alive connections and an IPC channel would keep the process alive.
  process.exit();
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** Adds `run`. Every option is also an environment variable STREAMSWARM_… and a setting of the file. */
export function addRunCommand(program: Command): void {
  program
    .command("run")
    .description("measure for a server until stopped")
    .option("--server <url>", "address of the server (else DNS SRV _streamswarm._tcp)")
    .option("--token <token>", "enrolment token, for the first start; better in STREAMSWARM_TOKEN, which no process list shows")
    .option("--name <name>", "name of this client (default: host name)")
    .option("--site <site>", "office this client stands in")
    .option("--tag <key=value>", "tag, may be given several times", collect)
    .option("--state <dir>", "directory for identity and unsent results")
    .option("--consent <file>", "JSON file that limits what the server may ask for")
    .option("--ca <file>", "PEM file with further certificate authorities")
    .option("--log-level <level>", "trace, debug, info, warn, error or silent (default info)")
    .option(
      "--reflector-port <port>",
      `UDP and TCP port on which other agents measure against this one (default ${REFLECTOR_PORT})`,
    )
    .option("--reflector-address <address>", "address they reach this host at, may be given several times", collect)
    .option("--no-reflector", "let no other agent measure against this one's reflector")
    .option("--no-self-test", "do not look whether gateway, resolvers and server answer")
    .option("--config <file>", "JSON settings file (default /etc/streamswarm/agent.json)")
    .action(run);
}
