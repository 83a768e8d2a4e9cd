// Secrets of one local instance: generated once, kept 0600 in the state directory, handed to the Worker through a 0600 file,
// so that none shows in a process list and none lies in the clone.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { findStarterDestination } from "./gateway.ts";
import { OpsError } from "./ops-error.ts";
import type { StatePaths } from "./paths.ts";
import type { Settings } from "./settings.ts";

const secretsSchema = z.object({
  SESSION_KEY: z.string().min(43),
  AGENT_KEY: z.string().min(43),
  SETUP_CODE: z.string().min(16),
  LOCAL_AGENT_TOKEN: z.string().min(43),
  /** What the first test of the local client pings: chosen once, because a test's destination does not follow the machine. */
  STARTER_DESTINATION: z.string().min(1),
});
export type Secrets = z.infer<typeof secretsSchema>;

/** Makes the state directory, for its owner alone. One that somebody else filled is left as it is: it may be a home directory. */
export function makeStateDir(state: StatePaths): void {
  mkdirSync(state.dir, { recursive: true, mode: 0o700 });
  const ours = existsSync(state.secrets) || readdirSync(state.dir).length === 0;
  if (ours && (statSync(state.dir).mode & 0o077) !== 0) chmodSync(state.dir, 0o700);
  for (const dir of [state.edge, state.wrangler, state.agent]) mkdirSync(dir, { recursive: true, mode: 0o700 });
}

export async function loadSecrets(state: StatePaths, env: NodeJS.ProcessEnv): Promise<Secrets> {
  if (!existsSync(state.secrets)) {
    const key = () => randomBytes(32).toString("base64url");
    const secrets: Secrets = {
      SESSION_KEY: key(),
      AGENT_KEY: key(),
      SETUP_CODE: randomBytes(18).toString("base64url"),
      LOCAL_AGENT_TOKEN: key(),
      STARTER_DESTINATION: env.STARTER_DESTINATION || (await findStarterDestination()),
    };
    writePrivate(state.secrets, `${JSON.stringify(secrets, null, 2)}\n`);
    return secrets;
  }
  try {
    return secretsSchema.parse(JSON.parse(readFileSync(state.secrets, "utf8")));
  } catch (error) {
    throw new OpsError(
      `${state.secrets} cannot be read: ${error instanceof Error ? error.message : String(error)}\n` +
        "Put back the file from a backup, or forget this instance with: npm run reset",
    );
  }
}

/** Writes what wrangler gives to the Worker as `env`. */
export function writeEdgeEnv(settings: Settings, secrets: Secrets): void {
  const values: Record<string, string> = { ...secrets, STREAMSWARM_LOCAL: "1" };
  if (settings.authBypass) values.AUTH_BYPASS = "1";
  if (settings.enrolmentToken) values.ENROLMENT_TOKEN = settings.enrolmentToken;
  if (settings.admin) {
    values.ADMIN_USERNAME = settings.admin.username;
    values.ADMIN_PASSWORD = settings.admin.password;
  }
  const lines = Object.entries(values).map(([name, value]) => `${name}=${quoted(name, value)}\n`);
  writePrivate(settings.state.edgeEnv, lines.join(""));
}

/** In the form of a .env file, where `$` would name another variable and only quotes that the value lacks can enclose it. */
export function quoted(name: string, value: string): string {
  const quote = ["'", "`", '"'].find((mark) => !value.includes(mark));
  // Inside double quotes \n and \r would become line breaks.
  if (!quote || /[\r\n]/.test(value) || (quote === '"' && /\\[nr]/.test(value))) {
    throw new OpsError(
      `${name} holds a line break or every kind of quote (' \` "), which cannot be handed over. Choose another value.`,
    );
  }
  return `${quote}${value.replaceAll("$", "\\$")}${quote}`;
}

function writePrivate(path: string, text: string): void {
  const next = `${path}.next`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}
