// Signing in and out, and making the first account.
import { sessionSchema, setupSchema, setupStateSchema, signInSchema } from "#contract/api";
import { createAdmin } from "../auth/seed.ts";
import { endSession, startSession } from "../auth/session.ts";
import { sameSecret } from "../ids.ts";
import { authenticate } from "../middleware/authenticate.ts";
import { countFailure } from "../middleware/failures.ts";
import { passwords } from "../objects/password-object.ts";
import { ProblemError } from "../problem-error.ts";
import { record } from "../store/audit.ts";
import { anyUser, findUserByName, toSessionUser } from "../store/users.ts";
import { body, createRoute, db, ipOf, json, router } from "./define.ts";

export const session = router();

session.openapi(
  createRoute({
    method: "post",
    path: "/session",
    tags: ["session"],
    request: body(signInSchema),
    responses: { 200: json(sessionSchema) },
  }),
  async (context) => {
    const { username, password } = context.req.valid("json");
    const store = db(context);
    const ip = ipOf(context);
    const found = await findUserByName(store, username.trim());
    const usable = found !== undefined && !found.disabled ? found : undefined;
    const who = `${username.trim().toLowerCase()} ${ip ?? ""}`;
    const verdict = await passwords(context.env, username.trim()).verify(who, password, usable?.password_hash ?? null);
    if (verdict.retry_after_s > 0) {
      throw new ProblemError(
        "throttled",
        `Too many wrong passwords. Try again in ${Math.ceil(verdict.retry_after_s / 60)} min.`,
        [],
        {
          "retry-after": String(verdict.retry_after_s),
        },
      );
    }
    if (!verdict.ok || usable === undefined)
      throw await countFailure(context, "sign-in ", new ProblemError("bad_credentials", "User name or password is wrong."));
    await startSession(context as never, store, usable.id);
    await record(store, { actor: usable.username, action: "session.start", target: usable.id, ip }, Date.now());
    return context.json({ user: toSessionUser(usable), bypass: false }, 200);
  },
);

session.openapi(
  createRoute({
    method: "get",
    path: "/session",
    tags: ["session"],
    middleware: [authenticate] as const,
    responses: { 200: json(sessionSchema) },
  }),
  (context) => {
    const { user, via } = context.get("actor");
    return context.json({ user, bypass: via === "bypass" }, 200);
  },
);

session.openapi(
  createRoute({ method: "delete", path: "/session", tags: ["session"], responses: { 204: { description: "Signed out" } } }),
  async (context) => {
    await endSession(context as never);
    return context.body(null, 204);
  },
);

session.openapi(
  createRoute({ method: "get", path: "/setup", tags: ["session"], responses: { 200: json(setupStateSchema) } }),
  async (context) => context.json({ needed: !(await anyUser(db(context))) }, 200),
);

session.openapi(
  createRoute({
    method: "post",
    path: "/setup",
    tags: ["session"],
    request: body(setupSchema),
    responses: { 201: json(sessionSchema, "Account made, signed in") },
  }),
  async (context) => {
    const { code, username, password } = context.req.valid("json");
    const store = db(context);
    if (await anyUser(store))
      throw new ProblemError("already_set_up", "There is an account already. Sign in, or ask an admin for one.");
    const expected = context.env.SETUP_CODE;
    if (!expected || !(await sameSecret(code, expected))) {
      const detail = "The setup code is wrong. Open the setup link that the server printed when it started.";
      throw await countFailure(context, "sign-in ", new ProblemError("forbidden", detail));
    }
    const admin = await createAdmin(context.env, store, username, password);
    await startSession(context as never, store, admin.id);
    await record(store, { actor: admin.username, action: "setup", target: admin.id, ip: ipOf(context) }, Date.now());
    return context.json({ user: toSessionUser(admin), bypass: false }, 201);
  },
);
