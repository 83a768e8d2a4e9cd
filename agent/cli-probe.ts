// `probe <type> <destination>`: one measurement without a server. Its options are the test type's parameters.
import { type Command, Option } from "commander";
import { z } from "zod";
import { peerDestination } from "#contract/destination";
import type { Measurement } from "#contract/result";
import { checkTest, isTestTypeName, TEST_TYPE_NAMES, type TestTypeName, testType } from "#contract/test-types/index";
import { killAllTools } from "./exec.ts";
import { EXIT, UsageError } from "./exit.ts";
import { LiveDisplay } from "./live-display.ts";
import { trustCa } from "./network.ts";
import type { SessionKey } from "./peer.ts";
import { type Paint, paintFor, RowPrinter, showHead, showResult } from "./print.ts";
import { PROBES } from "./probes/index.ts";
import type { Row } from "./rows.ts";
import { runTest } from "./runner.ts";
import { parseSecret, sessionOf } from "./stamp/key.ts";

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
  enum?: unknown[];
  anyOf?: { type?: string; const?: unknown }[];
}

function kindOf(property: PropertySchema): Kind {
  const kinds = [property.type, ...(property.anyOf ?? []).map((part) => part.type)];
  if (kinds.includes("boolean")) return "boolean";
  return kinds.includes("number") || kinds.includes("integer") ? "number" : "string";
}

/** The options of a test type, read from its parameter schema, so that a new type brings its own. */
export function parameterOptions(type: TestTypeName): ParameterOption[] {
  const schema = z.toJSONSchema(testType(type).params, { io: "input" }) as { properties?: Record<string, PropertySchema> };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const kind = kindOf(property);
    // What is on unless said otherwise is switched off by its --no- form.
    const flag = kind === "boolean" ? `--${property.default === true ? "no-" : ""}${kebab(name)}` : `--${kebab(name)} <value>`;
    const choices = property.enum === undefined ? "" : `: ${property.enum.join(", ")}`;
    const preset = property.default === undefined || kind === "boolean" ? "" : ` (default ${String(property.default)})`;
    const off = kind === "boolean" && property.default === true ? "turn off: " : "";
    return { name, flag, kind, description: `${off}${property.description ?? name}${choices}${preset}` };
  });
}

/** A number written plainly stays a number; anything else is left for the schema to refuse by name. */
function readOption(kind: Kind, raw: unknown): unknown {
  if (kind !== "number" || typeof raw !== "string") return raw;
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(raw) ? Number(raw) : raw;
}

/** Parameters from parsed options, or every wrong one by its name on the command line. */
export function readParameters(type: TestTypeName, destination: string, given: Record<string, unknown>): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const option of parameterOptions(type)) {
    const raw = given[camel(option.name)];
    if (raw !== undefined) params[option.name] = readOption(option.kind, raw);
  }
  if (peerDestination(destination) !== undefined) {
    throw new UsageError(
      "destination names a client, which only an agent with a server knows; give a host name or an IP address",
    );
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

interface ProbeFlags extends Record<string, unknown> {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly ca?: string;
  readonly key?: string;
}

const KEY_VARIABLE = "STREAMSWARM_REFLECTOR_KEY";

/** A session of its own with the reflector whose key is given; undefined without a key. Never shows what was given. */
function readKey(type: TestTypeName, given: string | undefined): SessionKey | undefined {
  if (testType(type).peer !== "reflector") return undefined;
  const fromEnvironment = process.env[KEY_VARIABLE];
  const text = given ?? (fromEnvironment === "" ? undefined : fromEnvironment);
  if (text === undefined) return undefined;
  const secret = parseSecret(text);
  if (secret !== undefined) return sessionOf(secret);
  const name = given === undefined ? KEY_VARIABLE : "--key";
  throw new UsageError(`${name} is no reflector key; paste the 43 characters that 'streamswarm-agent reflector' printed`);
}

/** Nobody reads the output any more (`| head -1`), or its disk is full: nothing is left to do, and a stack trace would not help. */
function unwritable(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") process.stderr.write(`error: the output cannot be written (${error.code ?? error.message})\n`);
  killAllTools();
  process.exit(EXIT.failed);
}

async function probe(type: TestTypeName, destination: string, given: ProbeFlags): Promise<void> {
  const params = readParameters(type, destination, given);
  const session = readKey(type, given.key);
  if (given.ca !== undefined) trustCa(given.ca);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  process.stdout.on("error", unwritable);
  const paint = paintFor(process.stdout);
  const live = given.json === true ? undefined : new LiveDisplay(process.stdout, paint);
  const watch = live === undefined ? undefined : (row: Row) => live.row(row);
  const progress = (fraction: number, note: string) => live?.progress(fraction, note);
  const result = await runTest({ type, destination: destination.trim(), params }, stop.signal, { watch, progress, session });
  live?.end();
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  process.exitCode = exitCodeOf(result);
  if (process.exitCode === EXIT.cannotMeasure && result.error !== null) process.stderr.write(`${result.error.message}\n`);
  const text = given.json === true ? JSON.stringify(cliResult(result)) : report(result, given.verbose === true, paint);
  // A look-up by the operating system cannot be called off; the result is out, and nobody waits for what is left.
  process.stdout.write(`${text}\n`, (error) => (error ? unwritable(error) : process.exit()));
}

/** The finished run: its head, then the probe's own view, or every metric when asked for or when nothing was measured. */
function report(result: Measurement, verbose: boolean, paint: Paint): string {
  const view = isTestTypeName(result.type) ? PROBES[result.type].view?.(result) : undefined;
  if (verbose || view === undefined) return showResult(result, paint);
  const printer = new RowPrinter(paint);
  return [showHead(result, paint), ...view.map((row) => printer.line(row))].join("\n");
}

/** Adds `probe` with one subcommand for each test type. */
export function addProbeCommand(program: Command): void {
  const parent = program.command("probe").description("run one measurement here, without a server").helpCommand(false);
  for (const name of TEST_TYPE_NAMES) {
    const command = parent.command(name).description(testType(name).summary);
    command.argument("<destination>", testType(name).destination.hint);
    for (const option of parameterOptions(name)) {
      command.addOption(new Option(option.flag, option.description));
    }
    command.option("--json", "print one result object and nothing else");
    command.option("--verbose", "list every metric");
    command.option("--ca <file>", "PEM file with further certificate authorities");
    if (testType(name).peer === "reflector") {
      command.option("--key <key>", `key of the reflector, as 'reflector' prints it; better in ${KEY_VARIABLE}`);
    }
    command.action((destination: string, given: ProbeFlags) => probe(name, destination, given));
  }
}
