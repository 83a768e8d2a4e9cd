// `probe <type> <destination>`: one measurement without a server. Its options are the test type's parameters.
import { type Command, Option } from "commander";
import { z } from "zod";
import { checkHost } from "#contract/destination";
import type { Measurement } from "#contract/result";
import { checkTest, TEST_TYPE_NAMES, type TestTypeName, testType } from "#contract/test-types/index";
import { EXIT, UsageError } from "./exit.ts";
import { paintFor, showResult } from "./print.ts";
import { runTest } from "./runner.ts";

type Kind = "number" | "boolean" | "string";

interface ParameterOption {
  readonly name: string;
  readonly flag: string;
  readonly kind: Kind;
  readonly description: string;
}

const kebab = (name: string): string => name.replaceAll("_", "-");
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

interface PropertySchema {
  type?: string;
  description?: string;
  default?: unknown;
  anyOf?: { type?: string; const?: unknown }[];
}

/** The options of a test type, read from its parameter schema, so that a new type brings its own. */
export function parameterOptions(type: TestTypeName): ParameterOption[] {
  const schema = z.toJSONSchema(testType(type).params, { io: "input" }) as { properties?: Record<string, PropertySchema> };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const kinds = [property.type, ...(property.anyOf ?? []).map((part) => part.type)];
    const kind: Kind = kinds.includes("boolean")
      ? "boolean"
      : kinds.includes("number") || kinds.includes("integer")
        ? "number"
        : "string";
    const preset = property.default === undefined ? "" : ` (default ${String(property.default)})`;
    return { name, flag: `--${kebab(name)}`, kind, description: `${property.description ?? name}${preset}` };
  });
}

/** A number written plainly stays a number; anything else is left for the schema to refuse by name. */
function readOption(kind: Kind, raw: unknown): unknown {
  if (kind !== "number" || typeof raw !== "string") return raw;
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(raw) ? Number(raw) : raw;
}

/** Parameters from parsed options, or every wrong one by its name on the command line. */
export function readParameters(type: TestTypeName, destination: string, given: Record<string, unknown>): Record<string, unknown> {
  const host = checkHost(destination);
  if (!host.ok) throw new UsageError(`destination ${host.message}`);
  const params: Record<string, unknown> = {};
  for (const option of parameterOptions(type)) {
    const raw = given[camel(option.name)];
    if (raw !== undefined) params[option.name] = readOption(option.kind, raw);
  }
  const checked = checkTest(type, destination, params);
  if (checked.ok) return params;
  const lines = checked.errors.map(({ path, message }) => {
    const name = path.replace(/^params\./, "");
    if (name === "destination") return `destination ${message}`;
    return `--${kebab(name)} ${String(params[name] ?? "")}: ${message}`;
  });
  throw new UsageError(lines.join("\n"));
}

/** The Result shape of the command line: times as RFC 3339 UTC. */
export function cliResult(result: Measurement): Record<string, unknown> {
  const { type, destination, address, started_at, duration_ms, status, error, metrics, reasons, detail, flags } = result;
  const time = new Date(started_at).toISOString();
  return { type, destination, address, started_at: time, duration_ms, status, error, metrics, reasons, detail, flags };
}

/** 0 ok, 1 measured but failed or partial, 3 this host cannot measure that. */
export function exitCodeOf(result: Measurement): number {
  if (result.status === "ok") return EXIT.ok;
  const cannot = ["tool_missing", "no_permission", "unsupported"];
  return result.error !== null && cannot.includes(result.error.code) ? EXIT.cannotMeasure : EXIT.failed;
}

async function probe(type: TestTypeName, destination: string, given: Record<string, unknown>): Promise<void> {
  const params = readParameters(type, destination, given);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const result = await runTest({ type, destination: destination.trim(), params }, stop.signal);
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  const text = given.json === true ? JSON.stringify(cliResult(result)) : showResult(result, paintFor(process.stdout));
  process.stdout.write(`${text}\n`);
  process.exitCode = exitCodeOf(result);
  if (process.exitCode === EXIT.cannotMeasure && result.error !== null) process.stderr.write(`${result.error.message}\n`);
}

/** Adds `probe` with one subcommand for each test type. */
export function addProbeCommand(program: Command): void {
  const parent = program.command("probe").description("run one measurement here, without a server").helpCommand(false);
  for (const name of TEST_TYPE_NAMES) {
    const command = parent.command(name).description(testType(name).summary);
    command.argument("<destination>", "host name or IP address");
    for (const option of parameterOptions(name)) {
      command.addOption(new Option(option.kind === "boolean" ? option.flag : `${option.flag} <value>`, option.description));
    }
    command.option("--json", "print one result object and nothing else");
    command.action((destination: string, given: Record<string, unknown>) => probe(name, destination, given));
  }
}
