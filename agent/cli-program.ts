// The agent's commands: parsed, run, and their ends turned into exit codes.
import { Command, CommanderError } from "commander";
import { EXIT, FatalError, UsageError } from "./exit.ts";
import { VERSION } from "./version.ts";

const AFTER_HELP = `
Exit status: 0 ok, 1 measured but failed or partial, 2 wrong arguments, 3 this host cannot measure that.
STREAMSWARM_TOOL_PATH replaces the directories measuring tools are taken from.`;

/** What adds each command; loaded where it is asked for, since an agent that runs for months needs one only. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  run: async () => (await import("./cli-run.ts")).addRunCommand,
  probe: async () => (await import("./cli-probe.ts")).addProbeCommand,
  host: async () => (await import("./cli-host.ts")).addHostCommand,
  reflector: async () => (await import("./cli-reflector.ts")).addReflectorCommand,
  doctor: async () => (await import("./cli-doctor.ts")).addDoctorCommand,
};

async function build(named: string | undefined): Promise<Command> {
  const program = new Command("streamswarm-agent")
    .description("Measures this host and its network for StreamSwarm.")
    .version(VERSION)
    .helpCommand(false)
    .showHelpAfterError("(see --help)")
    .addHelpText("after", AFTER_HELP);
  const one = named !== undefined && Object.hasOwn(COMMANDS, named) ? COMMANDS[named] : undefined;
  for (const load of one === undefined ? Object.values(COMMANDS) : [one]) (await load())(program);
  // Subcommands do not inherit it, and without it commander ends the process with status 1.
  const override = (command: Command) => {
    command.exitOverride();
    command.commands.forEach(override);
  };
  override(program);
  return program;
}

function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code === "commander.unknownOption") {
      process.stderr.write("A destination cannot begin with '-': no host name does.\n");
    }
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    process.stderr.write(`error: ${error.message}\n`);
    return EXIT.usage;
  }
  process.stderr.write(
    `error: ${error instanceof FatalError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  );
  return EXIT.failed;
}

/** Runs the command that the process was started with. */
export async function main(): Promise<void> {
  try {
    await (await build(process.argv[2])).parseAsync();
  } catch (error) {
    process.exitCode = explain(error);
  }
}
