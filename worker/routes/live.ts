// Browser sockets. Mounted without header middleware: the answer to an upgrade comes from an object and cannot be changed.
import { Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { clientObject, fleet } from "../env.ts";
import { authenticate } from "../middleware/authenticate.ts";
import type { App } from "../middleware/context.ts";
import { sameOrigin } from "../middleware/guard.ts";
import { ProblemError } from "../problem-error.ts";
import { visibleClient } from "./clients.ts";

export const live = new Hono<App>();

const upgradeOnly = createMiddleware<App>(async (context, next) => {
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw new ProblemError("bad_query", "This address is a WebSocket; open it with one.");
  }
  await next();
});

for (const path of ["/fleet/live", "/clients/:id/live"]) live.use(path, sameOrigin, authenticate, upgradeOnly);

live.get("/fleet/live", (context) =>
  fleet(context.env).fetch(
    new Request("https://fleet/live", {
      headers: { upgrade: "websocket", "x-sites": encodeURIComponent(JSON.stringify(context.get("actor").user.sites)) },
    }),
  ),
);

live.get("/clients/:id/live", async (context) => {
  const row = await visibleClient(context, context.req.param("id"));
  return clientObject(context.env, row.id).fetch(new Request("https://client/live", { headers: { upgrade: "websocket" } }));
});
