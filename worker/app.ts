// Puts the routes together, in the order their middleware needs.
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { SECURITY_HEADERS } from "#contract/security";
import { seedFromEnvironment } from "./auth/seed.ts";
import type { Env } from "./env.ts";
import { authenticate } from "./middleware/authenticate.ts";
import type { App } from "./middleware/context.ts";
import { jsonBody, sameOrigin } from "./middleware/guard.ts";
import { ProblemError, problemResponse } from "./problem-error.ts";
import { admin } from "./routes/admin.ts";
import { agent } from "./routes/agent.ts";
import { clients } from "./routes/clients.ts";
import { router } from "./routes/define.ts";
import { docsPage } from "./routes/docs.ts";
import { events } from "./routes/events.ts";
import { live } from "./routes/live.ts";
import { results } from "./routes/results.ts";
import { session } from "./routes/session.ts";
import { speed } from "./routes/speed.ts";
import { tests } from "./routes/tests.ts";
import { VERSION } from "./version.ts";

/** Answers an error as problem+json; what is not a ProblemError is a mistake of ours and is logged. */
function answer(error: Error): Response {
  if (error instanceof ProblemError) return error.toResponse();
  if (error instanceof HTTPException && error.status < 500)
    return problemResponse("malformed", `${error.message || "The request could not be read"}.`);
  // A failed query's message holds its parameters, secrets included: its cause says what went wrong, the stack says where.
  const where = error.stack?.split("\n").filter((line) => line.startsWith("    at ")) ?? [];
  const what =
    error.cause instanceof Error
      ? error.cause.message
      : error.name === "Error"
        ? error.message.split("\nparams:")[0]
        : error.name;
  console.error(JSON.stringify({ event: "error", error: what, where }));
  return problemResponse("internal", "Something went wrong on the server; it was logged. Try again.");
}

const notFound = () =>
  problemResponse("not_found", "There is nothing at this address. The API is described at /api/openapi.json.");

function webApi() {
  const api = router();
  api.use(sameOrigin, jsonBody);
  // Signing in and setting up are the only things a stranger may do.
  api.route("/", session);
  const signedIn = router();
  signedIn.use(authenticate);
  for (const routes of [clients, tests, results, events, admin]) signedIn.route("/", routes);
  api.route("/", signedIn);
  return api;
}

export const app = new Hono<App>();
app.onError(answer);
app.notFound(notFound);
app.use(async (context, next) => {
  await seedFromEnvironment(context.env);
  await next();
});

// Sockets first: nothing may touch the headers of an upgrade that an object answered.
app.route("/api/agent/v1", agent as unknown as Hono<App>);
app.route("/api/agent/v1/speed", speed as unknown as Hono<App>);
app.route("/api/v1", live);
app.use(async (context, next) => {
  await next();
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value);
  if (!context.res.headers.has("cache-control")) context.res.headers.set("cache-control", "no-store");
});
app.get("/healthz", (context) => context.json({ status: "ok", version: VERSION } as const));

const api = webApi();
app.route("/api/v1", api);
const description = () =>
  api.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "StreamSwarm", version: VERSION }, servers: [{ url: "/api/v1" }] });
app.get("/api/openapi.json", (context) => context.json(description()));
// Through JSON: what the page shows is what the document says.
app.get("/api/docs", (context) => context.html(docsPage(JSON.parse(JSON.stringify(description())))));

export type { Env };
