// Environment for wrangler: nothing sent home, nothing fetched, its own files in the state directory.
import type { StatePaths } from "./paths.ts";

/** Secrets reach the Worker through a file; the programs that serve it need none in their environment. */
const SECRET_NAMES = ["ADMIN_USERNAME", "ADMIN_PASSWORD", "ENROLMENT_TOKEN", "AUTH_BYPASS"];

export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SECRET_NAMES.includes(name)));
}

export function wranglerEnv(state: StatePaths): NodeJS.ProcessEnv {
  return {
    ...withoutSecrets(process.env),
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    // Also leaves out the look-up of a newer wrangler.
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
    WRANGLER_LOG_PATH: state.wrangler,
    // Several instances may run side by side; none needs to find the others.
    WRANGLER_REGISTRY_PATH: state.wrangler,
    // `request.cf` would be fetched from the internet; a local edge ignores it.
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
    CLOUDFLARE_INCLUDE_PROCESS_ENV: "false",
    NO_COLOR: "1",
    FORCE_COLOR: "0",
  };
}
