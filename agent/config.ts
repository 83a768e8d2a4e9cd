// What the agent was told: flags, then environment, then a JSON file. Read once, checked once.
import os from "node:os";
import { z } from "zod";
import { checkHost } from "#contract/destination";
import { REFLECTOR_PORT } from "#contract/peers";
import { nameSchema, siteSchema, type Tags, tagsSchema } from "#contract/wire";
import { UsageError } from "./exit.ts";
import { readIfThere } from "./files.ts";
import { defaultStateDir } from "./identity.ts";
import { LOG_LEVELS, type LogLevel } from "./log.ts";
import type { ReflectorSettings } from "./reflector-service.ts";

export const DEFAULT_CONFIG_FILE = "/etc/streamswarm/agent.json";

export interface Config {
  /** Origin and path prefix without a trailing slash; undefined leaves it to the saved state or DNS. */
  readonly server: string | undefined;
  /** Enrolment token, needed for the first registration. */
  readonly token: string | undefined;
  readonly name: string;
  readonly site: string | undefined;
  readonly tags: Tags;
  readonly state: string;
  readonly consent: string | undefined;
  readonly ca: string | undefined;
  readonly log_level: LogLevel;
  /** How this host answers other agents. */
  readonly reflector: ReflectorSettings;
  /** Whether gateway, resolvers and server are looked at; the consent file may say no as well. */
  readonly self_test: boolean;
}

/** As flags and files give it: everything is text but tags. */
export interface RawConfig {
  server?: string | undefined;
  token?: string | undefined;
  name?: string | undefined;
  site?: string | undefined;
  tags?: Record<string, string> | undefined;
  state?: string | undefined;
  consent?: string | undefined;
  ca?: string | undefined;
  log_level?: string | undefined;
  /** False where the owner wants no reflector. */
  reflector?: boolean | undefined;
  reflector_port?: string | number | undefined;
  reflector_address?: readonly string[] | undefined;
  /** False where the owner wants no look at gateway and resolvers. */
  self_test?: boolean | undefined;
}

const fileSchema = z
  .strictObject({
    server: z.string(),
    token: z.string(),
    name: z.string(),
    site: z.string(),
    tags: z.record(z.string(), z.string()),
    state: z.string(),
    consent: z.string(),
    ca: z.string(),
    log_level: z.string(),
    reflector: z.boolean(),
    reflector_port: z.number(),
    reflector_address: z.union([z.string().transform((address) => [address]), z.array(z.string())]),
    self_test: z.boolean(),
  })
  .partial();

/** `k=v` pairs as tags. `where` names the flag or variable in the error. */
export function parseTags(pairs: readonly string[], where: string): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const split = pair.indexOf("=");
      if (split < 1) throw new UsageError(`${where} '${pair}' is not key=value; write for example ${where} floor=2`);
      return [pair.slice(0, split).trim(), pair.slice(split + 1).trim()];
    }),
  );
}

/** A variable that switches something on may also say that it does not. */
const truthy = (text: string): boolean => !/^(0|false|no|off)$/i.test(text.trim());

/** What the environment says. Empty variables count as not set. */
export function fromEnvironment(env: NodeJS.ProcessEnv): RawConfig {
  const get = (name: string) => env[`STREAMSWARM_${name}`] || undefined;
  const unless = (name: string) => {
    const switched = get(name);
    return switched === undefined ? undefined : !truthy(switched);
  };
  const tags = get("TAG");
  return {
    server: get("SERVER"),
    token: get("TOKEN"),
    name: get("NAME"),
    site: get("SITE"),
    tags:
      tags === undefined
        ? undefined
        : parseTags(
            tags.split(",").filter((pair) => pair.trim() !== ""),
            "STREAMSWARM_TAG",
          ),
    state: get("STATE"),
    consent: get("CONSENT"),
    ca: get("CA"),
    log_level: get("LOG_LEVEL"),
    reflector: unless("NO_REFLECTOR"),
    reflector_port: get("REFLECTOR_PORT"),
    reflector_address: get("REFLECTOR_ADDRESS")
      ?.split(",")
      .map((address) => address.trim())
      .filter((address) => address !== ""),
    self_test: unless("NO_SELF_TEST"),
  };
}

/** What the file says. A named file has to exist, the default one may be missing. */
export function fromFile(named: string | undefined): RawConfig {
  const path = named ?? DEFAULT_CONFIG_FILE;
  const text = readText(path);
  if (text === undefined) {
    if (named === undefined) return {};
    throw new UsageError(`--config ${path}: there is no such file`);
  }
  const parsed = fileSchema.safeParse(parseJson(text, path));
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) =>
    issue.code === "unrecognized_keys" ? `unknown setting ${issue.keys.join(", ")}` : `${issue.path.join(".")}: ${issue.message}`,
  );
  throw new UsageError(`${path}: ${issues.join("; ")}. Known settings: ${Object.keys(fileSchema.shape).join(", ")}`);
}

function readText(path: string): string | undefined {
  try {
    return readIfThere(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** JSON of a settings file; an error names the line. */
export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path}, line ${brokenLine(text)}, is not JSON: ${(error as Error).message}`);
  }
}

/** V8 does not always say where: the first line with which the text up to there is not merely unfinished. */
function brokenLine(text: string): number {
  const lines = text.split("\n");
  for (let count = 1; count < lines.length; count++) {
    const start = lines.slice(0, count).join("\n");
    try {
      JSON.parse(start);
    } catch (error) {
      const { message } = error as Error;
      const position = Number(/position (\d+)/.exec(message)?.[1] ?? Number.NaN);
      if (!/end of JSON|Unterminated/.test(message) && !(position >= start.length)) return count;
    }
  }
  return lines.length;
}

/** Origin and path of a server address. */
export function checkServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`--server '${text}' is not an address; write for example --server https://streamswarm.example.com`);
  }
  if (url.username !== "" || url.password !== "")
    throw new UsageError("--server holds a user name or password; leave them out, the token is enough");
  if (url.search !== "" || url.hash !== "") throw new UsageError("--server holds a query or fragment; give only the address");
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function check<Value>(schema: z.ZodType<Value>, value: unknown, option: string): Value {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(`${option} ${parsed.error.issues.map((issue) => issue.message).join("; ")}`);
}

/** A port, or what to give instead. */
function checkPort(value: string | number): number {
  const port = /^\d{1,5}$/.test(String(value)) ? Number(value) : Number.NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`--reflector-port ${value}: must be 1 to 65535`);
}

/** An address to advertise, in its one spelling. */
function checkAddress(text: string): string {
  const checked = checkHost(text);
  if (checked.ok && checked.version !== 0 && !checked.host.includes("%")) return checked.host;
  const why = checked.ok ? "is not an IP address others can use" : checked.message;
  throw new UsageError(`--reflector-address ${text} ${why}`);
}

/** One configuration from the three sources, first one wins setting by setting. */
export function resolveConfig(flags: RawConfig, env: RawConfig, file: RawConfig): Config {
  const first = <Key extends keyof RawConfig>(key: Key): RawConfig[Key] => flags[key] ?? env[key] ?? file[key];
  const server = first("server");
  const site = first("site");
  return {
    server: server === undefined ? undefined : checkServer(server),
    token: first("token"),
    name: check(nameSchema, first("name") ?? os.hostname(), "--name"),
    site: site === undefined ? undefined : check(siteSchema, site, "--site"),
    tags: check(tagsSchema, first("tags") ?? {}, "--tag"),
    state: first("state") ?? defaultStateDir(),
    consent: first("consent"),
    ca: first("ca"),
    log_level: check(z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`), first("log_level") ?? "info", "--log-level"),
    reflector: {
      allowed: first("reflector") ?? true,
      port: checkPort(first("reflector_port") ?? REFLECTOR_PORT),
      addresses: (first("reflector_address") ?? []).map(checkAddress),
    },
    self_test: first("self_test") ?? true,
  };
}
