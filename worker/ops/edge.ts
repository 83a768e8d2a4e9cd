// Serves the Worker with its database and objects on this machine: wrangler and workerd as one process group.
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { OpsError } from "./ops-error.ts";
import { WRANGLER } from "./paths.ts";
import { rotate, Service } from "./service.ts";
import type { Settings } from "./settings.ts";
import { wranglerEnv } from "./wrangler-env.ts";

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 40;

/** Fails early, with words, when the port cannot be had. */
export async function checkPortIsFree(settings: Settings): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => reject(portError(settings, error)));
  server.listen({ host: settings.host, port: settings.port, exclusive: true }, () => server.close(() => resolve()));
  await promise;
}

function portError({ host, port }: Settings, error: NodeJS.ErrnoException): OpsError {
  if (error.code === "EADDRINUSE") {
    return new OpsError(
      `Port ${port} on ${host} is in use by another program. Stop that one, or choose another port: PORT=${port + 1} npm start`,
    );
  }
  if (error.code === "EACCES") {
    return new OpsError(`This user may not listen on port ${port}. Choose one above 1023: PORT=8787 npm start`);
  }
  if (error.code === "EADDRNOTAVAIL") {
    return new OpsError(
      `HOST=${host} is no address of this machine. Use 127.0.0.1 for this machine only, 0.0.0.0 for every address.`,
    );
  }
  return new OpsError(`Listening on ${host} port ${port} fails: ${error.message}. Choose others with HOST= and PORT=.`);
}

export function startEdge(settings: Settings): Service {
  const { state } = settings;
  rotate(state.edgeLog);
  const listen = ["--ip", settings.host, "--port", String(settings.port), "--inspector-port", "0"];
  const files = ["--persist-to", state.edge, "--env-file", state.edgeEnv];
  const quiet = ["--show-interactive-dev-session=false", "--log-level", "warn"];
  return new Service([WRANGLER, "dev", ...listen, ...files, ...quiet], wranglerEnv(state), state.edgeLog, () => {});
}

/** Resolves when the Worker answers; throws when it ends or stays silent. */
export async function waitForEdge(edge: Service, settings: Settings): Promise<void> {
  let over = false;
  const ended = edge.exited.then(() => {
    over = true;
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await isHealthy(settings))) {
    await Promise.race([delay(POLL_MS), ended]);
    if (over) throw edgeEnded(edge, settings);
    if (performance.now() > deadline) {
      throw new OpsError(
        `The edge does not answer at ${settings.url}/healthz within ${START_TIMEOUT_MS / 1000} s. The end of its log:\n${edge.lastLines()}\n` +
          `The whole log is ${settings.state.edgeLog}.`,
      );
    }
  }
}

export function edgeEnded(edge: Service, settings: Settings): OpsError {
  return new OpsError(
    `The edge (wrangler dev) ended by itself. The end of its log:\n${edge.lastLines()}\n` +
      `Correct what it names and start again; nothing that was stored is lost. The whole log is ${settings.state.edgeLog}.`,
  );
}

async function isHealthy(settings: Settings): Promise<boolean> {
  try {
    const reply = await fetch(`${settings.localUrl}/healthz`, { signal: AbortSignal.timeout(5000) });
    await reply.body?.cancel();
    return reply.status === 200 && (reply.headers.get("content-type") ?? "").includes("json");
  } catch {
    // Nobody listens yet; the caller asks again until its deadline.
    return false;
  }
}

/** Whether the first account still has to be made. */
export async function needsSetup(settings: Settings): Promise<boolean> {
  const reply = await fetch(`${settings.localUrl}/api/v1/setup`, { signal: AbortSignal.timeout(10_000) });
  const body: unknown = await reply.json();
  return typeof body === "object" && body !== null && "needed" in body && body.needed === true;
}
