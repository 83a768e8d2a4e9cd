#!/usr/bin/env node
// The agent's command line.
import { Command, CommanderError } from "commander";
import { addDoctorCommand } from "./cli-doctor.ts";
import { addHostCommand } from "./cli-host.ts";
import { addProbeCommand } from "./cli-probe.ts";
import { addReflectorCommand } from "./cli-reflector.ts";
import { addRunCommand } from "./cli-run.ts";
import { EXIT, FatalError, UsageError } from "./exit.ts";
import { VERSION } from "./version.ts";

const AFTER_HELP = `
Exit status: 0 ok, 1 measured but failed or partial, 2 wrong arguments, 3 this host cannot measure that.
STREAMSWARM_TOOL_PATH replaces the directories measuring tools are taken from.`;

function build(): Command {
  const program = new Command("streamswarm-agent")
    .description("Measures this host and its network for StreamSwarm.")
    .version(VERSION)
    .helpCommand(false)
    .showHelpAfterError("(see --help)")
    .addHelpText("after", AFTER_HELP);
  addRunCommand(program);
  addProbeCommand(program);
  addHostCommand(program);
  addReflectorCommand(program);
  addDoctorCommand(program);
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

try {
  await build().parseAsync();
} catch (error) {
  process.exitCode = explain(error);
}
