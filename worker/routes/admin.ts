// People, tokens, settings, audit.
import type { Context } from "hono";
import {
  auditEntrySchema,
  configSchema,
  createdTokenSchema,
  createTokenSchema,
  createUserSchema,
  pageOf,
  patchConfigSchema,
  patchUserSchema,
  tokenSchema,
  userSchema,
} from "#contract/api";
import { newId, newSecret, sha256 } from "../ids.ts";
import { allow } from "../middleware/authenticate.ts";
import { type App, atLeast } from "../middleware/context.ts";
import { passwords } from "../objects/password-object.ts";
import { notFound, ProblemError } from "../problem-error.ts";
import { listAudit, record } from "../store/audit.ts";
import { readSettings, writeSettings } from "../store/config.ts";
import type { UserRow } from "../store/schema.ts";
import { bumpRevision } from "../store/tests.ts";
import { findToken, insertToken, listTokens, revokeToken, toToken } from "../store/tokens.ts";
import {
  anotherAdmin,
  deleteSessionsOf,
  deleteUser,
  findUser,
  insertUser,
  listUsers,
  toUser,
  updateUser,
} from "../store/users.ts";
import { body, by, createRoute, db, defined, idParam, json, pageQuery, router, z } from "./define.ts";

export const admin = router();

// Tokens

/** Enrolment tokens of other sites are not shown to those who are limited to theirs. */
const seesToken = (sites: string[] | null, row: { site: string | null }) =>
  sites === null || (row.site !== null && sites.includes(row.site));

admin.openapi(
  createRoute({
    method: "get",
    path: "/tokens",
    tags: ["tokens"],
    responses: { 200: json(pageOf(tokenSchema)) },
  }),
  async (context) => {
    const { user } = context.get("actor");
    const rows = await listTokens(db(context), user.role === "admin" ? null : user.id);
    const shown = rows.filter((row) => row.user_id === user.id || (atLeast(user.role, "user") && seesToken(user.sites, row)));
    return context.json({ items: shown.map(toToken), next_cursor: null }, 200);
  },
);

admin.openapi(
  createRoute({
    method: "post",
    path: "/tokens",
    tags: ["tokens"],
    request: body(createTokenSchema),
    responses: { 201: json(createdTokenSchema, "Made; the secret is shown this once") },
  }),
  async (context) => {
    const input = context.req.valid("json");
    const { user } = context.get("actor");
    if (input.kind === "enrolment" && !atLeast(user.role, "user"))
      throw new ProblemError("forbidden", "Enrolment tokens need the role user or admin.");
    if (input.kind === "enrolment" && !seesToken(user.sites, input)) {
      throw new ProblemError("forbidden", "You may add clients to your own sites only. Name one of them as the token's site.");
    }
    const expires = input.expires_at === null ? null : Date.parse(input.expires_at);
    const now = Date.now();
    if (expires !== null && expires <= now)
      throw new ProblemError("invalid", "Correct the named fields.", [{ path: "expires_at", message: "has passed" }]);
    const secret = newSecret(input.kind === "enrolment" ? "sse" : "ssu");
    const row = await insertToken(db(context), {
      id: newId(),
      kind: input.kind,
      name: input.name,
      hash: await sha256(secret),
      user_id: user.id,
      expires_at: expires,
      max_uses: input.kind === "enrolment" ? input.max_uses : null,
      site: input.kind === "enrolment" ? input.site : null,
      tags: input.tags,
      scopes: input.kind === "api" ? input.scopes : [],
      created_at: now,
    });
    await record(
      db(context),
      { ...by(context), action: "token.create", target: row.id, detail: { kind: row.kind, name: row.name } },
      now,
    );
    return context.json({ ...toToken(row), secret }, 201);
  },
);

admin.openapi(
  createRoute({
    method: "delete",
    path: "/tokens/{id}",
    tags: ["tokens"],
    request: { params: idParam },
    responses: { 204: { description: "Revoked at once" } },
  }),
  async (context) => {
    const { user } = context.get("actor");
    const row = await findToken(db(context), context.req.valid("param").id);
    const own = row?.user_id === user.id;
    if (row === undefined || (!own && user.role !== "admin")) throw notFound("token");
    await revokeToken(db(context), row.id, Date.now());
    await record(
      db(context),
      { ...by(context), action: "token.revoke", target: row.id, detail: { kind: row.kind, name: row.name } },
      Date.now(),
    );
    return context.body(null, 204);
  },
);

// People

admin.openapi(
  createRoute({
    method: "get",
    path: "/users",
    tags: ["users"],
    middleware: [allow("admin")] as const,
    request: { query: z.strictObject(pageQuery) },
    responses: { 200: json(pageOf(userSchema)) },
  }),
  async (context) => {
    const { limit, cursor } = context.req.valid("query");
    const { rows, next_cursor } = await listUsers(db(context), limit, cursor);
    return context.json({ items: rows.map(toUser), next_cursor }, 200);
  },
);

admin.openapi(
  createRoute({
    method: "post",
    path: "/users",
    tags: ["users"],
    middleware: [allow("admin")] as const,
    request: body(createUserSchema),
    responses: { 201: json(userSchema) },
  }),
  async (context) => {
    const { password, ...input } = context.req.valid("json");
    const password_hash = await passwords(context.env, input.username).hash(password);
    const now = Date.now();
    const row = await insertUser(db(context), { ...input, id: newId(), password_hash, created_at: now });
    if (row === undefined)
      throw new ProblemError("conflict", "This user name is taken.", [{ path: "username", message: "is taken" }]);
    await record(
      db(context),
      { ...by(context), action: "user.create", target: row.id, detail: { username: row.username, role: row.role } },
      now,
    );
    return context.json(toUser(row), 201);
  },
);

async function knownUser(context: Context<App>, id: string): Promise<UserRow> {
  const row = await findUser(db(context), id);
  if (row === undefined) throw notFound("user");
  return row;
}

admin.openapi(
  createRoute({
    method: "get",
    path: "/users/{id}",
    tags: ["users"],
    middleware: [allow("admin")] as const,
    request: { params: idParam },
    responses: { 200: json(userSchema) },
  }),
  async (context) => context.json(toUser(await knownUser(context, context.req.valid("param").id)), 200),
);

async function keepAnAdmin(context: Context<App>, row: UserRow): Promise<void> {
  if (row.role === "admin" && !(await anotherAdmin(db(context), row.id))) {
    throw new ProblemError("conflict", "This is the last admin. Make another one first.");
  }
}

admin.openapi(
  createRoute({
    method: "patch",
    path: "/users/{id}",
    tags: ["users"],
    middleware: [allow("admin")] as const,
    request: { params: idParam, ...body(patchUserSchema) },
    responses: { 200: json(userSchema) },
  }),
  async (context) => {
    const before = await knownUser(context, context.req.valid("param").id);
    const { password, ...change } = context.req.valid("json");
    if (change.disabled === true || (change.role !== undefined && change.role !== "admin")) await keepAnAdmin(context, before);
    const given: Partial<UserRow> = defined(change);
    if (password !== undefined) given.password_hash = await passwords(context.env, before.username).hash(password);
    const row = (await updateUser(db(context), before.id, given)) ?? before;
    if (password !== undefined || change.disabled === true) await deleteSessionsOf(db(context), row.id);
    await record(
      db(context),
      { ...by(context), action: "user.change", target: row.id, detail: { after: change, password: password !== undefined } },
      Date.now(),
    );
    return context.json(toUser(row), 200);
  },
);

admin.openapi(
  createRoute({
    method: "delete",
    path: "/users/{id}",
    tags: ["users"],
    middleware: [allow("admin")] as const,
    request: { params: idParam },
    responses: { 204: { description: "Gone, signed out everywhere" } },
  }),
  async (context) => {
    const row = await knownUser(context, context.req.valid("param").id);
    await keepAnAdmin(context, row);
    await deleteUser(db(context), row.id);
    await record(
      db(context),
      { ...by(context), action: "user.delete", target: row.id, detail: { username: row.username } },
      Date.now(),
    );
    return context.body(null, 204);
  },
);

// Settings and audit

admin.openapi(
  createRoute({
    method: "get",
    path: "/config",
    tags: ["config"],
    middleware: [allow("admin")] as const,
    responses: { 200: json(configSchema) },
  }),
  async (context) => context.json(await readSettings(db(context)), 200),
);

admin.openapi(
  createRoute({
    method: "patch",
    path: "/config",
    tags: ["config"],
    middleware: [allow("admin")] as const,
    request: body(patchConfigSchema),
    responses: { 200: json(configSchema) },
  }),
  async (context) => {
    const change = context.req.valid("json");
    const { actor, ip } = by(context);
    const before = await readSettings(db(context));
    await writeSettings(db(context), defined(change), actor, Date.now());
    await bumpRevision(db(context), Date.now());
    await record(
      db(context),
      { actor, ip, action: "config.change", target: "config", detail: { before, after: change } },
      Date.now(),
    );
    return context.json(await readSettings(db(context)), 200);
  },
);

admin.openapi(
  createRoute({
    method: "get",
    path: "/audit",
    tags: ["config"],
    middleware: [allow("admin")] as const,
    request: { query: z.strictObject({ ...pageQuery, cursor: z.coerce.number().int().optional() }) },
    responses: { 200: json(pageOf(auditEntrySchema)) },
  }),
  async (context) => {
    const { limit, cursor } = context.req.valid("query");
    return context.json(await listAudit(db(context), limit, cursor), 200);
  },
);
