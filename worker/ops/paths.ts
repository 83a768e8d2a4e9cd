// Where things are: in the clone, and in the state directory of one running instance.
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "..", "..");
export const WRANGLER = join(ROOT, "node_modules", "wrangler", "wrangler-dist", "cli.js");
export const VITE = join(ROOT, "node_modules", "vite", "bin", "vite.js");
export const PARENT_WATCH = new URL("./parent-watch.mjs", import.meta.url).href;

/** Everything `npm start` keeps, and `npm run reset` forgets. */
export interface StatePaths {
  dir: string;
  /** The edge's databases. */
  edge: string;
  edgeLog: string;
  /** What wrangler writes about itself: its own log and the list of Workers running on this machine. */
  wrangler: string;
  agent: string;
  agentLog: string;
  /** Generated once, 0600. */
  secrets: string;
  /** What the Worker gets in its environment, 0600, written at every start. */
  edgeEnv: string;
  run: string;
  migrated: string;
}

export function statePaths(dir: string): StatePaths {
  return {
    dir,
    edge: join(dir, "edge"),
    edgeLog: join(dir, "edge.log"),
    wrangler: join(dir, "wrangler"),
    agent: join(dir, "agent"),
    agentLog: join(dir, "agent.log"),
    secrets: join(dir, "secrets.json"),
    edgeEnv: join(dir, "edge.env"),
    run: join(dir, "run.json"),
    migrated: join(dir, "edge", "migrations.sha256"),
  };
}

/** The state directory of this clone, or the one STREAMSWARM_STATE names. */
export function stateDir(env: NodeJS.ProcessEnv): string {
  return resolve(ROOT, env.STREAMSWARM_STATE || ".streamswarm");
}
