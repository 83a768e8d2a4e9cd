// `reflector`: answers the measurements of other agents until stopped, without a server.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { type Command, Option } from "commander";
import { EXIT, UsageError } from "./exit.ts";
import { paintFor, RowPrinter } from "./print.ts";
import { shiftedClock } from "./reflector/clock.ts";
import type { Transfer } from "./reflector/http.ts";
import { DEFAULT_PORT, Reflector, type ReflectorStats, type ReflectorWatch } from "./reflector/index.ts";
import type { UdpRefusals } from "./reflector/udp.ts";
import type { ReflectorSession } from "./reflector/udp-sessions.ts";
import { type Cell, cell, figure, type Row } from "./rows.ts";
import { newSecret, parseSecret, secretText } from "./stamp/key.ts";

interface Flags {
  readonly port?: string;
  readonly host?: string;
  readonly key?: string;
  readonly open?: boolean;
  readonly json?: boolean;
  readonly clockOffset?: string;
}

interface Settings {
  readonly port: number;
  readonly host: string | undefined;
  readonly secret: Uint8Array | undefined;
  /** Whether the key was made here, and so has to be shown. */
  readonly fresh: boolean;
  readonly open: boolean;
  readonly offset_ms: number;
}

const KEY_VARIABLE = "STREAMSWARM_REFLECTOR_KEY";
const DAY_MS = 86_400_000;

/** Options in full. Throws UsageError naming every wrong one; what was given as a key is never shown. */
export function readSettings(flags: Flags, env: NodeJS.ProcessEnv = process.env): Settings {
  const wrong: string[] = [];
  const port = /^\d{1,5}$/.test(flags.port ?? String(DEFAULT_PORT)) ? Number(flags.port ?? DEFAULT_PORT) : Number.NaN;
  if (!(port >= 0 && port <= 65_535)) wrong.push(`--port ${flags.port}: must be 1 to 65535, or 0 for any free one`);
  if (flags.host !== undefined && isIP(flags.host) === 0) {
    wrong.push(`--host ${flags.host}: must be an IP address of this host; leave it out for all of them`);
  }
  const variable = env[KEY_VARIABLE] === "" ? undefined : env[KEY_VARIABLE];
  const text = flags.key ?? variable;
  const given = text === undefined ? undefined : parseSecret(text);
  if (text !== undefined && given === undefined) {
    wrong.push(`${flags.key === undefined ? KEY_VARIABLE : "--key"} is no key; leave it out to have one made`);
  }
  const offset_ms = /^[+-]?\d{1,12}(\.\d+)?$/.test(flags.clockOffset ?? "0") ? Number(flags.clockOffset ?? 0) : Number.NaN;
  if (!(Math.abs(offset_ms) <= DAY_MS)) wrong.push(`--clock-offset ${flags.clockOffset}: must be milliseconds, at most a day`);
  if (wrong.length > 0) throw new UsageError(wrong.join("\n"));
  const fresh = given === undefined && flags.open !== true;
  return { port, host: flags.host, secret: fresh ? newSecret() : given, fresh, open: flags.open === true, offset_ms };
}

/** Addresses others can reach this host at, those of interfaces that leave it first. */
function reachable(bound: string): string[] {
  if (bound !== "::" && bound !== "0.0.0.0") return [bound];
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const usable = all.filter(({ address, family }) => !/^fe80:/i.test(address) && (bound === "::" || family === "IPv4"));
  const outward = usable.filter(({ internal }) => !internal);
  return (outward.length > 0 ? outward : usable).map(({ address }) => address);
}

const endpoint = (address: string, port: number): string => `${address.includes(":") ? `[${address}]` : address}:${port}`;
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "");
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Where to measure, and how, as one line for programs or a few for people. */
function ready(settings: Settings, host: string, port: number, json: boolean): string {
  const addresses = reachable(host);
  const target = endpoint(addresses[0] ?? "127.0.0.1", port);
  const key = settings.secret === undefined ? undefined : settings.fresh ? secretText(settings.secret) : "<the key you gave>";
  const command = `streamswarm-agent probe udp ${target}${key === undefined ? "" : ` --key ${key}`}`;
  if (json) return JSON.stringify({ event: "ready", host, port, addresses, open: settings.open, command });
  const mode = settings.open ? "  open: answers anybody" : "";
  return [`ready  port ${port} UDP and TCP  ${addresses.join(" ")}${mode}`, "measure it from another host:", `  ${command}`].join(
    "\n",
  );
}

function whose({ name }: ReflectorSession): Record<string, unknown> {
  return { address: plain(name.address), port: name.port, ssid: name.ssid };
}

function sessionFacts(session: ReflectorSession): Record<string, unknown> {
  const { answered, refused, missing, began, lastHeard } = session;
  return { ...whose(session), answered, refused, missing, seconds: Number(((lastHeard - began) / 1000).toFixed(1)) };
}

const clockCell = (): Cell => cell(new Date().toISOString().slice(11, 19), 8, "dim");

function sessionRow(session: ReflectorSession, what: "begin" | "end" | "", rate?: number): Row {
  const { name, answered, refused, missing } = session;
  // The packet that begins a session is not answered yet.
  const counts = what !== "begin";
  return [
    clockCell(),
    cell(what, 7, what === "begin" ? "good" : "plain"),
    cell(endpoint(plain(name.address), name.port), 22, "bold"),
    figure(rate === undefined ? "" : `${rate.toFixed(0)}/s`, 6),
    figure(counts ? `${answered} answered` : "", 15),
    figure(counts ? `${missing} missing` : "", 11, missing === 0 ? "dim" : "warn"),
    figure(counts ? `${refused} refused` : "", 11, refused === 0 ? "dim" : "bad"),
    cell(`ssid ${name.ssid}`, 0, "dim"),
  ];
}

function transferRow({ direction, bytes, ms, address }: Transfer): Row {
  return [
    clockCell(),
    cell(direction, 7),
    cell(plain(address), 22, "bold"),
    figure("", 6),
    figure(megabytes(bytes), 15),
    figure(`${(ms / 1000).toFixed(1)} s`, 11),
    figure(ms > 0 ? `${((bytes * 8) / ms / 1000).toFixed(1)} Mbit/s` : "–", 11),
  ];
}

/** Why packets got no answer, as far as they did not. */
function refusals({ short, reflection, unauthenticated, rate, full }: UdpRefusals): { sum: number; words: string } {
  const words = `${unauthenticated} without a valid key, ${rate} beyond the rate, ${full} beyond the sessions there may be, ${short + reflection} no request`;
  return { sum: short + reflection + unauthenticated + rate + full, words };
}

/** What was answered and what was not, when it ends. */
function summary({ udp, http }: ReflectorStats): string {
  const refused = refusals(udp.refused);
  return [
    `stopped  ${udp.sessions} sessions  ${udp.answered} packets answered  ${refused.sum} refused`,
    `  refused: ${refused.words}`,
    `  throughput: ${http.downloads} downloads ${megabytes(http.sent_bytes)}, ${http.uploads} uploads ${megabytes(http.received_bytes)}, ${http.refused.busy} turned away`,
  ].join("\n");
}

/** Shows what happens: rows for people, lines of JSON for programs. */
class Display {
  readonly #json: boolean;
  readonly #rows = new RowPrinter(paintFor(process.stdout));
  readonly #seen = new Map<ReflectorSession, number>();
  #refused = 0;
  readonly watch: ReflectorWatch = {
    sessionBegan: (session) => this.#tell("session_began", whose(session), sessionRow(session, "begin")),
    sessionEnded: (session) => this.#tell("session_ended", sessionFacts(session), sessionRow(session, "end")),
    transferEnded: (transfer) => this.#tell("transfer", { ...transfer }, transferRow(transfer)),
    trouble: (error) => process.stderr.write(`error: ${error.message}\n`),
  };

  constructor(json: boolean) {
    this.#json = json;
  }

  #tell(event: string, facts: Record<string, unknown>, row: Row): void {
    process.stdout.write(`${this.#json ? JSON.stringify({ event, ...facts }) : this.#rows.line(row)}\n`);
  }

  /** One row for each session that moved since the last look, `seconds` ago, and one for what was refused meanwhile. */
  look(sessions: readonly ReflectorSession[], refused: UdpRefusals | undefined, seconds: number): void {
    const { sum, words } = refused === undefined ? { sum: 0, words: "" } : refusals(refused);
    if (sum > this.#refused) process.stdout.write(`${this.#rows.line([clockCell(), cell("refused", 7, "bad"), cell(words)])}\n`);
    this.#refused = sum;
    for (const session of sessions) {
      const rate = (session.answered - (this.#seen.get(session) ?? 0)) / seconds;
      if (rate > 0) process.stdout.write(`${this.#rows.line(sessionRow(session, "", rate))}\n`);
      this.#seen.set(session, session.answered);
    }
    for (const session of this.#seen.keys()) if (!sessions.includes(session)) this.#seen.delete(session);
  }
}

const LOOK_MS = 1000;

/** Told to stop by a signal, or because whoever read the output is gone. */
function told(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    // Without a listener the error of the next row would end the process with a stack trace.
    process.stdout.on("error", () => resolve());
  });
}

async function reflect(flags: Flags): Promise<void> {
  const settings = readSettings(flags);
  const json = flags.json === true;
  const display = new Display(json);
  const reflector = new Reflector();
  const { secret, host, port, open } = settings;
  const secrets = secret === undefined ? [] : [{ from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY, secret }];
  const stopped = told();
  const clock = settings.offset_ms === 0 ? {} : { clock: shiftedClock(settings.offset_ms) };
  await reflector.start({ port, open, secrets: () => secrets, watch: display.watch, ...clock, ...(host && { host }) });
  const bound = reflector.address;
  if (bound !== undefined) process.stdout.write(`${ready(settings, bound.host, bound.port, json)}\n`);
  const live = process.stdout.isTTY && !json;
  const timer = live
    ? setInterval(() => display.look(reflector.sessions(), reflector.stats?.udp.refused, LOOK_MS / 1000), LOOK_MS)
    : undefined;
  await stopped;
  clearInterval(timer);
  await reflector.stop();
  const { stats } = reflector;
  if (stats !== undefined) process.stdout.write(`${json ? JSON.stringify({ event: "stopped", ...stats }) : summary(stats)}\n`);
  process.exitCode = EXIT.ok;
}

/** Adds `reflector`. */
export function addReflectorCommand(program: Command): void {
  program
    .command("reflector")
    .description("answer other agents' UDP (STAMP, RFC 8762) and throughput measurements until stopped")
    .option("--port <port>", `UDP and TCP port (default ${DEFAULT_PORT})`)
    .option("--host <address>", "address of this host to listen on (default: all, IPv6 and IPv4)")
    .option("--key <key>", `key to answer to; better in ${KEY_VARIABLE} (default: one is made and shown)`)
    .option("--open", "answer anybody, without a key; only in a network you trust")
    .option("--json", "print what happens as lines of JSON")
    // For tests: how wrong this end's clock shall be, milliseconds.
    .addOption(new Option("--clock-offset <ms>").hideHelp())
    .action(reflect);
}
